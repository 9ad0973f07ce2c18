//! Bodies, and the order in which a request is looked at.

use testkit::SOON;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::client::{CANCEL, DISPATCH, ORDER, QUANTITY, ROUTES, Who, problem, refused, start, with};

#[tokio::test]
async fn what_cannot_be_read_is_told_before_anything_else_is_looked_at() {
    let gateway = start(&[]).await;
    let deep = "[".repeat(10_000);
    for (method, path, _, body) in ROUTES {
        let Some(right) = body else { continue };
        for wrong in ["", "{", "nonsense", "{\"a\":1e309}", &right[..right.len() - 1], &deep] {
            // no token, no key: it would be 401 otherwise
            let answer = refused(gateway.send_json(method, path, wrong.to_owned())).await;
            assert_eq!(answer, with(400, "malformed"), "{method} {path} {wrong}");
        }
        let no_text = gateway.send_json(method, path, b"{\"email\":\"\xff\"}".to_vec());
        assert_eq!(refused(no_text).await, with(400, "malformed"), "{method} {path}");
        let nothing_at_all = gateway.request(method, path);
        assert_eq!(refused(nothing_at_all).await, with(400, "malformed"), "{method} {path}");
    }
}

#[tokio::test]
async fn then_comes_who_then_the_role_then_the_key_then_the_fields() {
    let gateway = start(&[]).await;
    let wrong = || gateway.send_json("POST", "/v1/orders", "{}");
    assert_eq!(refused(wrong()).await, with(401, "unauthenticated"));
    assert_eq!(refused(wrong().bearer_auth(gateway.key.token("operator"))).await, with(403, "forbidden"));
    let from_a_customer = || wrong().bearer_auth(gateway.key.token("customer"));
    assert_eq!(refused(from_a_customer()).await, with(400, "idempotency-key-missing"));
    let (status, code, document) = problem(from_a_customer().header("idempotency-key", "key-12345678")).await;
    assert_eq!((status, code), with(422, "invalid"));
    assert_eq!(document["errors"][0]["pointer"], "/lines");
    assert_eq!(document["errors"][0]["detail"], "is missing");
    assert_eq!(document["errors"][1]["pointer"], "/payment");
}

#[tokio::test]
async fn an_unknown_field_is_422_on_every_route_with_a_body() {
    let gateway = start(&[]).await;
    for (method, path, who, body) in ROUTES {
        let Some(right) = body else { continue };
        let wrong: &'static str = format!("{},\"price\":1}}", &right[..right.len() - 1]).leak();
        let (status, code, document) = problem(gateway.right_from(method, path, who, Some(wrong))).await;
        assert_eq!((status, code), with(422, "invalid"), "{method} {path}");
        assert_eq!(document["errors"][0]["pointer"], "/price", "{method} {path}");
    }
}

#[tokio::test]
async fn a_parameter_that_a_route_does_not_know_is_422_on_every_route() {
    let gateway = start(&[]).await;
    for (method, path, who, body) in ROUTES {
        let (status, code, document) = problem(gateway.right_from(method, &format!("{path}?debug=1"), who, body)).await;
        assert_eq!((status, code), with(422, "invalid"), "{method} {path}");
        assert_eq!(document["errors"][0]["pointer"], "/debug", "{method} {path}");
    }
}

#[tokio::test]
async fn a_request_that_says_all_with_its_path_needs_no_body_and_takes_no_fields() {
    let gateway = start(&[]).await;
    for (method, path, role) in
        [("POST", CANCEL, "operator"), ("POST", DISPATCH, "operator"), ("DELETE", "/v1/accounts/me", "customer")]
    {
        let request = || {
            let token = gateway.key.token(role);
            gateway.request(method, path).bearer_auth(token).header("idempotency-key", "key-12345678")
        };
        let json = || request().header("content-type", "application/json");
        let form = || request().header("content-type", "application/x-www-form-urlencoded");
        let away = with(503, "unavailable");
        for right in [request(), json(), form().body(""), json().body("{}"), json().body(" {\n} ")] {
            assert_eq!(refused(right).await, away, "{path}");
        }
        for wrong in ["{", "nonsense", " "] {
            assert_eq!(refused(json().body(wrong)).await, with(400, "malformed"), "{path} {wrong}");
        }
        for wrong in [request().body("{}"), form().body("a=1"), json().header("content-encoding", "gzip").body("{}")] {
            assert_eq!(refused(wrong).await, with(415, "unsupported-media-type"), "{path}");
        }
        for (wrong, pointer) in [("{\"reason\":\"late\"}", "/reason"), ("[]", ""), ("null", "")] {
            let (status, code, document) = problem(json().body(wrong)).await;
            assert_eq!((status, code), with(422, "invalid"), "{path} {wrong}");
            assert_eq!(document["errors"][0]["pointer"], pointer, "{path} {wrong}");
        }
        let too_long = json().body("x".repeat(256 * 1024 + 1));
        assert_eq!(refused(too_long).await, with(413, "too-large"), "{path}");
    }
}

#[tokio::test]
async fn a_preference_that_cannot_be_read_or_is_not_known_is_no_mistake() {
    let gateway = start(&[]).await;
    for preference in ["respond-async", "wait=10", "\"", "=", "", "respond-async=\"", "käse"] {
        let request = gateway.right_from("POST", "/v1/orders", Who::Customer, Some(ORDER));
        assert_eq!(refused(request.header("prefer", preference)).await, with(503, "unavailable"), "{preference}");
    }
}

#[tokio::test]
async fn only_json_is_taken() {
    let gateway = start(&[]).await;
    let sent_as = |content_type: &'static str| {
        gateway.request("POST", "/v1/orders").header("content-type", content_type).body(ORDER)
    };
    for wrong in ["text/plain", "application/xml", "application/x-www-form-urlencoded", "application/jsonx", "", "json"]
    {
        assert_eq!(refused(sent_as(wrong)).await, with(415, "unsupported-media-type"), "{wrong}");
    }
    for right in ["application/json", "Application/JSON; charset=utf-8"] {
        assert_eq!(refused(sent_as(right)).await, with(401, "unauthenticated"), "{right}");
    }
    let unnamed = gateway.request("POST", "/v1/orders").body(ORDER);
    assert_eq!(refused(unnamed).await, with(415, "unsupported-media-type"));
    let packed = sent_as("application/json").header("content-encoding", "gzip");
    assert_eq!(refused(packed).await, with(415, "unsupported-media-type"));
}

#[tokio::test]
async fn a_body_of_256_kib_is_read_and_one_byte_more_is_413_however_it_comes() {
    let gateway = start(&[]).await;
    let of_length = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
    let longest = gateway.send_json("POST", "/v1/accounts", of_length(256 * 1024));
    assert_eq!(refused(longest).await, with(422, "invalid"));
    let too_long = gateway.send_json("POST", "/v1/accounts", of_length(256 * 1024 + 1));
    assert_eq!(refused(too_long).await, with(413, "too-large"));
}

#[tokio::test]
async fn bodies_that_are_on_their_way_take_no_more_than_there_is_for_all_and_give_it_back() {
    let gateway = start(&["--bodies-kib-max=256"]).await;
    let beginning = format!(
        "POST /v1/accounts HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 250000\r\n\r\n\"{}",
        "x".repeat(240_000)
    );
    let mut slow = TcpStream::connect(gateway.address).await.unwrap();
    slow.write_all(beginning.as_bytes()).await.unwrap();
    let other = || gateway.send_json("POST", "/v1/accounts", format!("\"{}\"", "x".repeat(60_000)));
    testkit::eventually(SOON, "there is no room", async || refused(other()).await == with(503, "unavailable")).await;
    // what is short still goes
    assert_eq!(refused(gateway.send_json("POST", "/v1/accounts", "7")).await, with(422, "invalid"));
    drop(slow);
    testkit::eventually(SOON, "there is room again", async || refused(other()).await == with(422, "invalid")).await;
}

#[tokio::test]
async fn an_idempotency_key_has_8_to_100_printable_ascii_characters() {
    let gateway = start(&[]).await;
    for (path, who, body) in [
        ("/v1/orders", Who::Customer, ORDER),
        (CANCEL, Who::Customer, "{}"),
        ("/v1/products/mug/restock", Who::Operator, QUANTITY),
    ] {
        let role = if who == Who::Customer { "customer" } else { "operator" };
        let request = || gateway.send_json("POST", path, body).bearer_auth(gateway.key.token(role));
        assert_eq!(refused(request()).await, with(400, "idempotency-key-missing"), "{path}");
        let longest = "k".repeat(100);
        for right in ["12345678", "with a space", "~!@#$%^&*()", &longest] {
            let answer = refused(request().header("idempotency-key", right)).await;
            assert_eq!(answer, with(503, "unavailable"), "{path} {right}");
        }
        let too_long = "k".repeat(101);
        for wrong in ["", "1234567", "schlüssel", "tab\there", &too_long] {
            let answer = refused(request().header("idempotency-key", wrong)).await;
            assert_eq!(answer, with(400, "idempotency-key-malformed"), "{path} {wrong}");
        }
        let twice = request().header("idempotency-key", "key-12345678").header("idempotency-key", "key-12345678");
        assert_eq!(refused(twice).await, with(400, "idempotency-key-malformed"), "{path}");
    }
}
