//! How many requests are taken from whom, and what is told of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use reqwest::{Client, RequestBuilder, Response};
use serde_json::json;
use tokio::time::advance;

use crate::{
    client::{
        CUSTOMER, LOGIN, ORDER, PERSON, ROUTES, Running, SOMEBODY_ELSE, Who, claims, problem_in, refused, start, with,
    },
    connections::exchange,
    stand_in::stand_in,
};

/// Answered with 422 to whoever has a token, and nobody is asked for it.
const QUICK: &str = "/v1/accounts/me?debug=1";

/// What an answer tells of a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    name: String,
    per_minute: u64,
    remaining: u64,
    seconds: u64,
}

/// Reads `"name";a=1;b=2`.
fn told(response: &Response) -> Told {
    let [policy, current] = ["ratelimit-policy", "ratelimit"].map(|name| {
        let mut values = response.headers().get_all(name).iter();
        let value = values.next().unwrap_or_else(|| panic!("no {name} in {response:?}")).to_str().unwrap();
        assert!(values.next().is_none(), "{response:?}");
        value
    });
    let parameters = |value: &str, names: [&str; 2]| {
        let mut parts = value.split(';');
        let name = parts.next().unwrap().strip_prefix('"').and_then(|name| name.strip_suffix('"'));
        let numbers = names.map(|name| {
            let number = parts.next().and_then(|part| part.strip_prefix(name)?.strip_prefix('='));
            number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no {name} in {value}"))
        });
        assert_eq!(parts.next(), None, "{value}");
        (name.unwrap_or_else(|| panic!("{value}")).to_owned(), numbers)
    };
    let (name, [per_minute, window]) = parameters(policy, ["q", "w"]);
    let (same_name, [remaining, seconds]) = parameters(current, ["r", "t"]);
    assert_eq!((&name, window), (&same_name, 60));
    Told { name, per_minute, remaining, seconds }
}

async fn status(request: RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}

fn from(gateway: &Running, token: &str) -> RequestBuilder {
    gateway.request("GET", QUICK).bearer_auth(token)
}

fn limited() -> (u16, String) {
    with(429, "rate-limited")
}

#[tokio::test]
async fn every_answer_tells_the_limit_that_its_request_counts_for() {
    let gateway = start(&[]).await;
    for (method, path, who, body) in ROUTES {
        let told = told(&gateway.right_from(method, path, who, body).send().await.unwrap());
        let expected = match (method, who) {
            ("POST", Who::Anyone) => ("password", 300),
            (_, Who::Anyone) => ("address", 6_000),
            (_, Who::Customer | Who::Both) => ("customer", 3_000),
            (_, Who::Operator) => ("operator", 12_000),
        };
        assert_eq!((told.name.as_str(), told.per_minute), expected, "{method} {path}");
    }
    let token = gateway.key.token("customer");
    assert_eq!(told(&from(&gateway, &token).send().await.unwrap()).name, "customer");
    for (method, path, token, name) in [
        ("GET", "/nowhere", "", "address"),
        ("DELETE", "/v1/orders", "", "address"),
        ("GET", "/v1/tokens", "", "address"),
        ("GET", "/.well-known/jwks.json", "", "address"),
        ("GET", "/problems/invalid", "", "address"),
        ("GET", "/v1/accounts/me", "", "address"),
        ("GET", "/v1/accounts/me", "nonsense", "address"),
        // whoever is known counts as himself, whatever he asks for
        ("GET", "/nowhere", token.as_str(), "customer"),
        ("GET", "/v1/products?limit=0", &token, "customer"),
    ] {
        let mut request = gateway.request(method, path);
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        assert_eq!(told(&request.send().await.unwrap()).name, name, "{method} {path}");
    }
}

#[tokio::test]
async fn a_customer_has_one_limit_over_all_connections_and_tokens_and_the_next_has_his_own() {
    let gateway = start(&["--rate-limit-customer=2"]).await;
    let http_2 = Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    let token = gateway.key.token("customer");
    let on_another_connection = || http_2.get(gateway.url(QUICK)).bearer_auth(&token);
    assert_eq!(refused(from(&gateway, &token)).await, with(422, "invalid"));
    assert_eq!(refused(on_another_connection()).await, with(422, "invalid"));
    assert_eq!(refused(from(&gateway, &token)).await, limited());
    assert_eq!(refused(on_another_connection()).await, limited());
    // a token that was not seen before is no new customer
    let mut later = claims("customer");
    later["iat"] = json!(0);
    let second_token = gateway.key.sign(&gateway.key.header(), &later);
    assert_eq!(refused(from(&gateway, &second_token)).await, limited());

    let somebody_else = gateway.key.token_of(SOMEBODY_ELSE, "customer");
    assert_eq!(refused(from(&gateway, &somebody_else)).await, with(422, "invalid"));
    // an operator has a limit of his own
    assert_eq!(refused(from(&gateway, &gateway.key.token("operator"))).await, with(403, "forbidden"));
}

#[tokio::test]
async fn who_is_not_known_is_limited_by_his_address_and_takes_nothing_from_who_is() {
    let gateway = start(&["--rate-limit-address=4"]).await;
    let known = gateway.key.token("customer");
    assert_eq!(refused(from(&gateway, &known)).await, with(422, "invalid"));
    for bad in ["nonsense", "a.b.c", ""] {
        assert_eq!(refused(from(&gateway, bad)).await, with(401, "unauthenticated"), "{bad}");
    }
    for request in [
        from(&gateway, "nonsense"),
        gateway.request("GET", QUICK),
        gateway.request("GET", "/nowhere"),
        gateway.request("GET", "/problems/invalid"),
        gateway.request("GET", "/.well-known/jwks.json"),
        // whether it is good was never looked at
        from(&gateway, &gateway.key.token_of(SOMEBODY_ELSE, "customer")),
        // and neither was this body
        gateway.send_json("POST", "/v1/orders", "nonsense"),
    ] {
        assert_eq!(refused(request).await, limited());
    }
    assert_eq!(refused(from(&gateway, &known)).await, with(422, "invalid"));
}

#[tokio::test]
async fn what_costs_a_password_hash_has_a_tighter_limit_by_address_whoever_asks() {
    let gateway = start(&["--rate-limit-password=2"]).await;
    let token = gateway.key.token("customer");
    assert_eq!(status(from(&gateway, &token)).await, 422);
    let login = || gateway.send_json("POST", "/v1/tokens", LOGIN);
    let register = || gateway.send_json("POST", "/v1/accounts", PERSON);
    assert_eq!(refused(login()).await, with(503, "unavailable"));
    assert_eq!(refused(register()).await, with(503, "unavailable"));
    for request in [login(), register(), login().bearer_auth(&token)] {
        assert_eq!(refused(request).await, limited());
    }
    assert_eq!(status(gateway.request("GET", "/.well-known/jwks.json")).await, 200);
    assert_eq!(status(from(&gateway, &token)).await, 422);
}

#[tokio::test]
async fn the_headers_count_down_and_say_when_to_come_again() {
    let gateway = start(&["--rate-limit-customer=5"]).await;
    let token = gateway.key.token("customer");
    for (remaining, seconds) in [(4, 12), (3, 24), (2, 36), (1, 48), (0, 12)] {
        let response = from(&gateway, &token).send().await.unwrap();
        let expected = Told { name: "customer".to_owned(), per_minute: 5, remaining, seconds };
        assert_eq!(told(&response), expected);
        assert!(!response.headers().contains_key("retry-after"));
    }
    let response = from(&gateway, &token).send().await.unwrap();
    let standing = told(&response);
    let retry_after = response.headers()["retry-after"].to_str().unwrap().to_owned();
    assert_eq!((standing.remaining, &standing.seconds.to_string()), (0, &retry_after));
    assert!((1..=12).contains(&standing.seconds), "{standing:?}");
    let (status, code, document) = problem_in(response).await;
    assert_eq!((status, code), limited());
    assert!(document["detail"].as_str().unwrap().contains(&format!("come again in {retry_after} s")), "{document}");
}

#[tokio::test(start_paused = true)]
async fn who_comes_again_when_he_was_told_to_is_served() {
    let gateway = start(&["--rate-limit-address=2"]).await;
    let ask = async || {
        let answer = exchange(gateway.address, b"GET /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
        let retry_after = answer.lines().find_map(|line| line.strip_prefix("retry-after: "));
        (answer[9..12].to_owned(), retry_after.map(|seconds| seconds.parse::<u64>().unwrap()))
    };
    assert_eq!(ask().await, ("404".to_owned(), None));
    assert_eq!(ask().await, ("404".to_owned(), None));
    let (status, retry_after) = ask().await;
    assert_eq!(status, "429");
    advance(Duration::from_secs(retry_after.unwrap())).await;
    assert_eq!(ask().await, ("404".to_owned(), None));
}

#[tokio::test]
async fn whom_a_stranger_says_he_speaks_for_changes_nothing() {
    let gateway = start(&["--rate-limit-address=2"]).await;
    let forged = |name: &str, value: &str| gateway.request("GET", "/nowhere").header(name, value);
    assert_eq!(refused(forged("x-forwarded-for", "192.0.2.1")).await, with(404, "not-found"));
    assert_eq!(refused(forged("forwarded", "for=192.0.2.2")).await, with(404, "not-found"));
    for request in
        [forged("x-forwarded-for", "192.0.2.3"), forged("forwarded", "for=192.0.2.4"), forged("x-real-ip", "192.0.2.5")]
    {
        assert_eq!(refused(request).await, limited());
    }
}

#[tokio::test]
async fn behind_a_proxy_of_ours_each_client_has_his_own_limit_and_nobody_is_two() {
    let gateway = start(&["--rate-limit-address=1", "--trusted-proxies=127.0.0.0/8,10.0.0.0/8"]).await;
    for (line, expected) in [
        ("192.0.2.1", 404),
        ("192.0.2.2", 404),
        ("192.0.2.1", 429),
        // what the client sends along stands on the left of what the proxy adds
        ("203.0.113.9, 192.0.2.1", 429),
        ("203.0.113.9, 192.0.2.1, 10.1.1.1", 429),
        // 64 bits are one client
        ("2001:db8::1", 404),
        ("2001:db8::ffff:1", 429),
        ("2001:db8:0:1::1", 404),
    ] {
        let request = gateway.request("GET", "/nowhere").header("x-forwarded-for", line);
        assert_eq!(status(request).await, expected, "{line}");
    }
}

#[tokio::test]
async fn without_limits_nobody_is_refused_and_nothing_is_told() {
    let all_off = ["customer", "operator", "address", "password"].map(|name| format!("--rate-limit-{name}=0"));
    let gateway = start(&all_off.each_ref().map(String::as_str)).await;
    let token = gateway.key.token("customer");
    for _ in 0..20 {
        for (request, expected) in [
            (from(&gateway, &token), 422),
            (from(&gateway, "nonsense"), 401),
            (gateway.send_json("POST", "/v1/tokens", "{"), 400),
            (gateway.request("GET", "/nowhere"), 404),
        ] {
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), expected);
            assert!(!response.headers().keys().any(|name| name.as_str().starts_with("ratelimit")), "{response:?}");
        }
    }
}

#[tokio::test]
async fn a_refused_request_is_told_to_nobody_behind() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let order = stand_in(async move || {
        counted.fetch_add(1, Ordering::Relaxed);
        [("content-type", "application/grpc"), ("grpc-status", "9")]
    });
    let gateway = start(&["--rate-limit-customer=1", &format!("--order-url={}", order.await)]).await;
    let place =
        || gateway.right("POST", "/v1/orders", Some(ORDER)).bearer_auth(gateway.key.token_of(CUSTOMER, "customer"));
    assert_ne!(status(place()).await, 429);
    let before = calls.load(Ordering::Relaxed);
    assert!(before > 0, "the first was placed");
    // the same key: a limit is looked at before what was answered under it
    assert_eq!(refused(place()).await, limited());
    assert_eq!(refused(place().header("prefer", "respond-async")).await, limited());
    assert_eq!(calls.load(Ordering::Relaxed), before);
}
