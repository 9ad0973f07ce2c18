//! Streams of events, as far as they do not depend on what order tells: the journeys have that.

use std::time::Duration;

use contracts::order::v1::{WatchOrderRequest, WatchOrderResponse};
use testkit::SOON;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};

use crate::{
    client::{EVENTS, Running, SOMEBODY_ELSE, Who, claims, now, problem_in, refused, start, with},
    stand_in::Streams,
};

/// Order, which opens every stream and says nothing on it.
async fn silent_order() -> Streams<WatchOrderRequest> {
    Streams::start(&[] as &[WatchOrderResponse]).await
}

impl Streams<WatchOrderRequest> {
    async fn gateway(&self, settings: &[&str]) -> Running {
        let order = format!("--order-url={}", self.url);
        start(&[&[order.as_str()], settings].concat()).await
    }

    /// After which version each stream was asked for, sorted.
    fn asked_after(&self) -> Vec<i64> {
        let mut versions: Vec<i64> = self.asked.lock().unwrap().iter().map(|request| request.after_version).collect();
        versions.sort_unstable();
        versions
    }
}

async fn watch_order(gateway: &Running) -> reqwest::Response {
    let response = gateway.right_from("GET", EVENTS, Who::Customer, None).send().await.unwrap();
    assert_eq!(response.status(), 200);
    response
}

#[tokio::test]
async fn a_stream_says_that_it_is_one_and_that_nobody_may_keep_it() {
    let order = silent_order().await;
    let gateway = order.gateway(&[]).await;
    for accepted in ["text/event-stream", "text/*", "*/*"] {
        let request = gateway.right_from("GET", EVENTS, Who::Operator, None).header("accept", accepted);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "{accepted}");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        assert!(response.headers().contains_key("x-request-id"));
    }
}

#[tokio::test]
async fn it_goes_on_after_the_last_event_that_the_client_got_also_when_order_breaks_off() {
    let order = silent_order().await;
    let gateway = order.gateway(&[]).await;
    let _from_the_first = watch_order(&gateway).await;
    let resumed = gateway.right_from("GET", EVENTS, Who::Customer, None).header("last-event-id", "7");
    let _resumed = resumed.send().await.unwrap();
    assert_eq!(order.asked_after(), [0, 7]);
    order.break_off.send(()).unwrap();
    let asked_again = async || order.asked_after().len() == 4;
    testkit::eventually(SOON, "the gateway asks again", asked_again).await;
    assert_eq!(order.asked_after(), [0, 0, 7, 7]);
}

#[tokio::test]
async fn a_last_event_id_that_is_no_version_is_400_after_who_and_what_and_before_the_query() {
    let gateway = start(&[]).await;
    let from = |who, path: &str| gateway.right_from("GET", path, who, None).header("last-event-id", "-1");
    assert_eq!(refused(from(Who::Anyone, EVENTS)).await, with(401, "unauthenticated"));
    assert_eq!(refused(from(Who::Customer, "/v1/orders/1/events")).await, with(404, "not-found"));
    for path in [EVENTS, &format!("{EVENTS}?debug=1")] {
        assert_eq!(refused(from(Who::Customer, path)).await, with(400, "malformed"), "{path}");
    }
    let request = gateway.right_from("GET", EVENTS, Who::Customer, None).header("last-event-id", "one");
    assert_eq!(refused(request.header("accept", "text/event-stream")).await, with(400, "malformed"));
}

#[tokio::test]
async fn streams_have_places_of_their_own_and_give_them_back_when_the_client_is_gone() {
    let order = silent_order().await;
    let gateway = order.gateway(&["--sse-streams-max=2", "--requests-max=1"]).await;
    let (first, second) = (watch_order(&gateway).await, watch_order(&gateway).await);
    let third = gateway.right_from("GET", EVENTS, Who::Customer, None).send().await.unwrap();
    let (status, code, document) = problem_in(third).await;
    assert_eq!((status, code), with(503, "unavailable"));
    assert!(document["detail"].as_str().unwrap().contains("watched"), "{document}");
    // one place for requests, and two streams do not take it
    let jwks = gateway.request("GET", "/.well-known/jwks.json").send().await.unwrap();
    assert_eq!(jwks.status(), 200);
    assert_eq!(order.open(), 2);

    drop(first);
    testkit::eventually(SOON, "order is rid of the stream", async || order.open() == 1).await;
    let again = async || gateway.right_from("GET", EVENTS, Who::Customer, None).send().await.unwrap().status() == 200;
    testkit::eventually(SOON, "there is a place again", again).await;
    drop(second);
}

#[tokio::test]
async fn nobody_takes_the_places_of_others_for_streams() {
    let order = silent_order().await;
    let gateway = order.gateway(&["--sse-streams-of-account-max=2"]).await;
    let _two = [watch_order(&gateway).await, watch_order(&gateway).await];
    let third = gateway.right_from("GET", EVENTS, Who::Customer, None).send().await.unwrap();
    let (status, code, document) = problem_in(third).await;
    assert_eq!((status, code), with(429, "rate-limited"), "{document}");
    let other = gateway.key.token_of(SOMEBODY_ELSE, "customer");
    let others = gateway.request("GET", EVENTS).bearer_auth(other).send().await.unwrap();
    assert_eq!(others.status(), 200);
}

#[tokio::test]
async fn a_stream_ends_with_the_token_of_who_watches() {
    let order = silent_order().await;
    let gateway = order.gateway(&[]).await;
    let mut claims = claims("customer");
    // within the leeway of 5 s, which is over in 2 s
    claims["exp"] = (now() - 3).into();
    let token = gateway.key.sign(&gateway.key.header(), &claims);
    let stream = gateway.request("GET", EVENTS).bearer_auth(token).send().await.unwrap();
    assert_eq!(stream.status(), 200);
    let end = timeout(SOON, stream.text()).await.expect("it goes on without a token");
    assert_eq!(end.unwrap(), "");
}

#[tokio::test]
async fn the_end_ends_streams_at_once() {
    let order = silent_order().await;
    let mut gateway = order.gateway(&[]).await;
    let mut streams = Vec::new();
    for _ in 0..20 {
        streams.push(watch_order(&gateway).await);
    }
    let begun = Instant::now();
    gateway.shutdown.request();
    (&mut gateway.serving).await.unwrap();
    // a request under way could have taken eight seconds
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    for stream in streams {
        // the stream ends, it is not torn
        assert_eq!(stream.text().await.unwrap(), "");
    }
    testkit::eventually(SOON, "order is rid of the streams", async || order.open() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn silence_is_filled_with_a_comment_every_15_seconds_and_ends_when_a_token_would() {
    let order = silent_order().await;
    let gateway = order.gateway(&[]).await;
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    let token = gateway.key.token("customer");
    let request = format!("GET {EVENTS} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let (begun, mut answer) = (Instant::now(), Vec::new());
    timeout(Duration::from_mins(20), stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    let took = begun.elapsed();
    assert!((Duration::from_mins(15)..Duration::from_mins(16)).contains(&took), "{took:?}");
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    // each a chunk of three bytes; the last falls together with the end
    let comments = answer.matches("3\r\n:\n\n\r\n").count();
    assert!((59..=60).contains(&comments), "{comments}: {answer}");
    assert!(answer.ends_with("0\r\n\r\n"), "{answer}");
}
