//! What clients are told when the services behind do not answer.

use std::time::{Duration, Instant};

use testkit::SOON;

use crate::{
    client::{ASKED, CANCEL, ORDER, ROUTES, Who, problem, refused, start, start_without_keys, with},
    stand_in::silent,
};

#[tokio::test]
async fn a_service_that_is_not_there_is_503_and_come_again() {
    let gateway = start(&[]).await;
    for (method, path, who, body) in ROUTES {
        let asked = Instant::now();
        assert_eq!(
            refused(gateway.right_from(method, path, who, body)).await,
            with(503, "unavailable"),
            "{method} {path}"
        );
        assert!(asked.elapsed() < Duration::from_secs(2), "{method} {path}");
    }
}

#[tokio::test]
async fn a_service_that_is_silent_is_504_after_two_seconds() {
    let url = silent().await;
    let settings = ASKED.map(|name| format!("--{name}-url={url}"));
    let gateway = start(&settings.each_ref().map(String::as_str)).await;
    let asked = Instant::now();
    let decided_by_order = [("POST", "/v1/orders"), ("POST", CANCEL)];
    let others = ROUTES.into_iter().filter(|(method, path, ..)| !decided_by_order.contains(&(*method, *path)));
    let answers = others.map(async |(method, path, who, body)| {
        let answer = refused(gateway.right_from(method, path, who, body)).await;
        assert_eq!(answer, with(504, "deadline-exceeded"), "{method} {path}");
    });
    futures::future::join_all(answers).await;
    let took = asked.elapsed();
    assert!((Duration::from_millis(1_900)..Duration::from_secs(4)).contains(&took), "{took:?}");
}

#[tokio::test]
async fn a_change_that_order_did_not_answer_for_is_to_be_sent_again_with_its_key_and_may_have_happened_if_it_was_sent()
{
    let url = silent().await;
    let silent = start(&[&format!("--order-url={url}")]).await;
    let gone = start(&[]).await;
    let sent = Duration::from_millis(4_900);
    for (gateway, at_least) in [(&gone, Duration::ZERO), (&silent, sent)] {
        let changes = [("/v1/orders", Some(ORDER), "was taken"), (CANCEL, None, "was cancelled")];
        let answers = changes.map(async |(path, body, what)| {
            let asked = Instant::now();
            let (status, code, document) = problem(gateway.right_from("POST", path, Who::Customer, body)).await;
            assert_eq!((status, code), with(503, "unavailable"), "{path}");
            let detail = document["detail"].as_str().unwrap();
            let what = if at_least == sent { what } else { "changed nothing" };
            assert!(detail.contains(what) && detail.contains("same key"), "{path}: {detail}");
            let took = asked.elapsed();
            assert!((at_least..Duration::from_secs(8)).contains(&took), "{path}: {took:?}");
        });
        futures::future::join_all(answers).await;
    }
}

#[tokio::test]
async fn before_accounts_told_its_keys_nobody_can_say_whether_a_token_is_valid() {
    let gateway = start_without_keys(&[]).await;
    let me = || gateway.right_from("GET", "/v1/accounts/me", Who::Customer, None);
    assert_eq!(refused(me()).await, with(503, "unavailable"));
    assert_eq!(refused(gateway.request("GET", "/.well-known/jwks.json")).await, with(503, "unavailable"));
    // what is no key set changes nothing; a set without keys is an answer
    assert!(gateway.gateway.keys.replace("nonsense".to_owned()).is_err());
    assert_eq!(refused(me()).await, with(503, "unavailable"));
    gateway.gateway.keys.replace("{\"keys\":[]}".to_owned()).unwrap();
    assert_eq!(refused(me()).await, with(401, "unauthenticated"));
}

#[tokio::test]
async fn what_cannot_be_worked_on_is_shed_at_once() {
    let url = silent().await;
    let gateway = start(&["--requests-max=1", &format!("--inventory-url={url}")]).await;
    let first = tokio::spawn(refused(gateway.request("GET", "/v1/products")));
    let second = async || refused(gateway.request("GET", "/.well-known/jwks.json")).await;
    let ok_or_shed = async || gateway.request("GET", "/.well-known/jwks.json").send().await.unwrap().status() == 503;
    testkit::eventually(SOON, "the first request takes the only place", ok_or_shed).await;
    assert_eq!(second().await, with(503, "unavailable"));
    assert_eq!(first.await.unwrap(), with(504, "deadline-exceeded"));
    assert_eq!(gateway.request("GET", "/.well-known/jwks.json").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn the_end_waits_for_a_request_under_way() {
    let url = silent().await;
    let mut gateway = start(&["--requests-max=1", &format!("--inventory-url={url}")]).await;
    let request = gateway.request("GET", "/v1/products");
    let under_way = tokio::spawn(async move { (refused(request).await, Instant::now()) });
    let taken = async || gateway.request("GET", "/.well-known/jwks.json").send().await.unwrap().status() == 503;
    testkit::eventually(SOON, "the request is under way", taken).await;
    gateway.shutdown.request();
    (&mut gateway.serving).await.unwrap();
    let ended = Instant::now();
    let (answer, answered) = under_way.await.unwrap();
    assert_eq!(answer, with(504, "deadline-exceeded"));
    // the client sees its answer a moment after it was sent
    assert!(ended + Duration::from_millis(200) > answered, "it ended {:?} before the answer", answered - ended);
    assert!(gateway.request("GET", "/.well-known/jwks.json").send().await.is_err());
}
