//! Pages of other origins, as their browsers ask.

use std::collections::BTreeSet;

use reqwest::{RequestBuilder, Response};

use crate::client::{LIVE, ORDER, ROUTES, Running, Who, problem_in, start, with};

const SHOP: &str = "https://shop.example";
const ALLOWED: &str = "--cors-allowed-origins=https://shop.example, http://localhost:3000";

/// Asks as a browser does before a request that is not a simple one.
fn preflight(gateway: &Running, path: &str, origin: &str, method: &str) -> RequestBuilder {
    let request = gateway.request("OPTIONS", path).header("origin", origin);
    let headers = "authorization,content-type,idempotency-key";
    request.header("access-control-request-method", method).header("access-control-request-headers", headers)
}

/// Everything that CORS says in an answer, sorted; the lists in it as well.
fn said(response: &Response) -> Vec<String> {
    let mut said: Vec<String> = Vec::new();
    for (name, value) in response.headers() {
        if name.as_str().starts_with("access-control-") {
            let mut list: Vec<&str> = value.to_str().unwrap().split(',').map(str::trim).collect();
            list.sort_unstable();
            said.push(format!("{}: {}", &name.as_str()["access-control-".len()..], list.join(" ")));
        }
    }
    said.sort_unstable();
    said
}

fn vary(response: &Response) -> Vec<&str> {
    response.headers().get_all("vary").iter().map(|value| value.to_str().unwrap()).collect()
}

/// What an answer says to a page that may read it.
fn readable(origin: &str) -> Vec<String> {
    let exposed =
        "etag idempotent-replayed location preference-applied ratelimit ratelimit-policy retry-after x-request-id";
    vec![format!("allow-origin: {origin}"), format!("expose-headers: {exposed}")]
}

#[tokio::test]
async fn a_browser_that_asks_is_answered_without_a_token_and_before_the_request_is_looked_at() {
    let gateway = start(&[ALLOWED]).await;
    let methods: BTreeSet<&str> = ROUTES.iter().map(|(method, ..)| *method).chain(["HEAD"]).collect();
    let methods = Vec::from_iter(methods).join(" ");
    for origin in [SHOP, "http://localhost:3000"] {
        for (method, path, ..) in ROUTES {
            let response = preflight(&gateway, path, origin, method).send().await.unwrap();
            assert_eq!(response.status(), 200, "{path}");
            let headers = "authorization content-type idempotency-key if-none-match last-event-id prefer traceparent \
                           x-request-id";
            let expected = [
                format!("allow-headers: {headers}"),
                format!("allow-methods: {methods}"),
                format!("allow-origin: {origin}"),
                "max-age: 3600".to_owned(),
            ];
            assert_eq!(said(&response), expected, "{path}");
            assert_eq!(vary(&response), ["origin"], "{path}");
            assert!(response.headers().contains_key("x-request-id"), "{path}");
            assert_eq!(response.bytes().await.unwrap(), "", "{path}");
        }
    }
}

#[tokio::test]
async fn an_answer_says_who_may_read_it_whatever_it_is() {
    let gateway = start(&[ALLOWED]).await;
    for (request, status) in [
        (gateway.request("GET", "/.well-known/jwks.json"), 200),
        (gateway.request("GET", "/problems/invalid"), 200),
        (gateway.request("GET", "/v1/accounts/me"), 401),
        (gateway.request("GET", "/nowhere"), 404),
        (gateway.request("DELETE", "/v1/orders"), 405),
        (gateway.right_from("POST", "/v1/orders", Who::Customer, Some(ORDER)), 503),
        (gateway.right_from("GET", LIVE, Who::Operator, None), 503),
    ] {
        let response = request.header("origin", SHOP).send().await.unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(said(&response), readable(SHOP), "{status}");
        assert!(vary(&response).contains(&"origin"), "{status}");
    }
    // what depends on the coding as well says both
    let jwks = gateway.request("GET", "/.well-known/jwks.json").send().await.unwrap();
    assert_eq!(vary(&jwks), ["accept-encoding", "origin"]);
}

#[tokio::test]
async fn a_page_of_another_origin_is_told_nothing_that_would_let_it_read() {
    let gateway = start(&[ALLOWED]).await;
    for stranger in ["https://evil.example", "https://shop.example.evil.example", "http://shop.example", "null"] {
        let asked = preflight(&gateway, "/v1/orders", stranger, "POST").send().await.unwrap();
        assert!(!asked.headers().contains_key("access-control-allow-origin"), "{stranger}");
        let request = gateway.request("GET", "/.well-known/jwks.json").header("origin", stranger);
        let response = request.send().await.unwrap();
        assert!(!response.headers().contains_key("access-control-allow-origin"), "{stranger}");
        assert!(vary(&response).contains(&"origin"), "{stranger}");
    }
}

#[tokio::test]
async fn where_any_origin_is_allowed_the_answer_is_the_same_to_all() {
    let gateway = start(&["--cors-allowed-origins=*"]).await;
    let asked = preflight(&gateway, "/v1/orders", "https://anybody.example", "POST").send().await.unwrap();
    assert_eq!(asked.headers()["access-control-allow-origin"], "*");
    for origin in ["https://anybody.example", "null"] {
        let response = gateway.request("GET", "/problems/invalid").header("origin", origin).send().await.unwrap();
        assert_eq!(said(&response), readable("*"));
        assert_eq!(vary(&response), [] as [&str; 0]);
    }
}

#[tokio::test]
async fn an_options_that_is_no_browsers_question_is_405_as_ever() {
    let gateway = start(&[ALLOWED]).await;
    for request in [
        gateway.request("OPTIONS", "/v1/orders"),
        gateway.request("OPTIONS", "/v1/orders").header("origin", SHOP),
        gateway.request("OPTIONS", "/v1/orders").header("access-control-request-method", "POST"),
    ] {
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["allow"], "GET,HEAD,POST");
        let (status, code, _) = problem_in(response).await;
        assert_eq!((status, code), with(405, "method-not-allowed"));
    }
}

#[tokio::test]
async fn without_the_setting_no_other_origin_is_told_anything() {
    for settings in [[].as_slice(), &["--cors-allowed-origins="]] {
        let gateway = start(settings).await;
        let asked = preflight(&gateway, "/v1/orders", SHOP, "POST").send().await.unwrap();
        assert_eq!((asked.status().as_u16(), said(&asked)), (405, vec![]));
        let request = gateway.request("GET", "/.well-known/jwks.json").header("origin", SHOP);
        let response = request.send().await.unwrap();
        assert_eq!((response.status().as_u16(), said(&response)), (200, vec![]));
        assert_eq!(vary(&response), ["accept-encoding"]);
    }
}
