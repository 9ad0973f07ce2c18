//! Answers that are sent packed, and those that are not.

use std::io::Read;

use contracts::{
    analytics::v1::WatchSalesResponse,
    inventory::v1::{GetProductResponse, ListProductsResponse, Product},
    money::v1::Money,
};
use flate2::read::GzDecoder;
use reqwest::Response;
use serde_json::Value;

use crate::{
    client::{Key, LIVE, ROUTES, Running, Who, problem_in, refused, start, with},
    stand_in::{Streams, answering},
};

const PRODUCTS: &str = "/v1/products";

/// A gateway whose inventory has so many products, each of which is some 100 bytes of JSON.
async fn with_products(products: usize) -> Running {
    let product = |index: usize| Product {
        sku: format!("sku-{index:04}"),
        name: "A mug".to_owned(),
        price: Some(Money { amount_minor: 1_250, currency: "EUR".to_owned() }),
        available: 7,
        version: 1,
    };
    let list = ListProductsResponse { items: (0..products).map(product).collect(), next_cursor: String::new() };
    start(&[&format!("--inventory-url={}", answering(&list).await)]).await
}

async fn get(gateway: &Running, path: &str, headers: &[(&str, &str)]) -> Response {
    let request = gateway.right_from("GET", path, Who::Operator, None);
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send().await.unwrap()
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    let mut values = response.headers().get_all(name).iter();
    let value = values.next().map(|value| value.to_str().unwrap());
    assert!(values.next().is_none(), "{name} is there twice");
    value
}

fn unpack(packed: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut bytes).expect("it is gzip");
    bytes
}

#[tokio::test]
async fn long_json_is_packed_for_whom_takes_gzip_and_is_the_same_unpacked() {
    let gateway = with_products(100).await;
    let plain = get(&gateway, PRODUCTS, &[]).await;
    assert_eq!((header(&plain, "content-encoding"), header(&plain, "vary")), (None, Some("accept-encoding")));
    let plain = plain.bytes().await.unwrap();
    for accepted in ["gzip", "gzip, deflate, br", "*", "br;q=1.0, gzip;q=0.8"] {
        let packed = get(&gateway, PRODUCTS, &[("accept-encoding", accepted)]).await;
        assert_eq!(packed.status(), 200);
        assert_eq!(header(&packed, "content-encoding"), Some("gzip"), "{accepted}");
        assert_eq!(header(&packed, "vary"), Some("accept-encoding"), "{accepted}");
        assert_eq!(header(&packed, "content-type"), Some("application/json"), "{accepted}");
        let packed = packed.bytes().await.unwrap();
        assert!(packed.len() * 4 < plain.len(), "{} of {}", packed.len(), plain.len());
        assert_eq!(unpack(&packed), plain, "{accepted}");
    }
    for not_accepted in ["br", "gzip;q=0", "identity, gzip;q=0.5", "identity;q=0", "nonsense", ""] {
        let response = get(&gateway, PRODUCTS, &[("accept-encoding", not_accepted)]).await;
        // never refused: what was asked for was done by then
        assert_eq!(response.status(), 200, "{not_accepted}");
        assert_eq!(header(&response, "content-encoding"), None, "{not_accepted}");
        assert_eq!(response.bytes().await.unwrap(), plain, "{not_accepted}");
    }
}

#[tokio::test]
async fn what_is_short_is_sent_as_it_is() {
    let packs = [("accept-encoding", "gzip")];
    let few = get(&with_products(2).await, PRODUCTS, &packs).await;
    assert_eq!(few.status(), 200);
    assert_eq!((header(&few, "content-encoding"), header(&few, "vary")), (None, Some("accept-encoding")));
    let gateway = start(&[]).await;
    for path in ["/.well-known/jwks.json", "/v1/accounts/me", "/problems/invalid", "/nowhere"] {
        let response = get(&gateway, path, &packs).await;
        assert_eq!(header(&response, "content-encoding"), None, "{path}");
    }
    // the bound is the length of the body, whatever it is
    let one: Value = serde_json::from_str(&Key::new("one").jwks()).unwrap();
    let mut were_long = Vec::new();
    for count in 1..=12 {
        let jwks = serde_json::json!({"keys": vec![&one["keys"][0]; count]}).to_string();
        were_long.push(jwks.len() >= 1_024);
        gateway.gateway.keys.replace(jwks).unwrap();
        let response = get(&gateway, "/.well-known/jwks.json", &packs).await;
        assert_eq!(header(&response, "content-encoding").is_some(), were_long[count - 1], "{count}");
    }
    assert!(were_long.contains(&false) && were_long.contains(&true));
}

#[tokio::test]
async fn a_tag_is_weak_where_the_answer_is_packed_and_either_is_recognised() {
    let gateway = with_products(100).await;
    let plain = get(&gateway, PRODUCTS, &[]).await;
    let strong = header(&plain, "etag").unwrap().to_owned();
    assert!(strong.starts_with('"'), "{strong}");
    let packs = ("accept-encoding", "gzip");
    let packed = get(&gateway, PRODUCTS, &[packs]).await;
    let weak = header(&packed, "etag").unwrap().to_owned();
    assert_eq!(weak, format!("W/{strong}"));
    // both clients may have got theirs either way
    for tag in [&strong, &weak] {
        for headers in [[("if-none-match", tag.as_str())].as_slice(), &[("if-none-match", tag), packs]] {
            let response = get(&gateway, PRODUCTS, headers).await;
            assert_eq!(response.status(), 304, "{headers:?}");
            assert_eq!(header(&response, "etag"), Some(tag.as_str()), "{headers:?}");
            assert_eq!(header(&response, "vary"), Some("accept-encoding"), "{headers:?}");
            assert_eq!(header(&response, "content-encoding"), None, "{headers:?}");
            assert_eq!(response.bytes().await.unwrap(), "");
        }
    }
    let other = get(&gateway, PRODUCTS, &[("if-none-match", "W/\"another\""), packs]).await;
    assert_eq!((other.status().as_u16(), header(&other, "content-encoding")), (200, Some("gzip")));
    // short enough to be sent as it is to everybody: the tag stays strong
    let product = GetProductResponse { product: Some(Product { sku: "mug".to_owned(), ..Product::default() }) };
    let gateway = start(&[&format!("--inventory-url={}", answering(&product).await)]).await;
    let product = get(&gateway, "/v1/products/mug", &[packs]).await;
    assert!(header(&product, "etag").unwrap().starts_with('"'));
}

#[tokio::test]
async fn a_long_problem_is_packed_and_a_stream_of_events_never() {
    let gateway = start(&[]).await;
    let lines: Vec<Value> = (0..100).map(|_| serde_json::json!({"sku": "NO SKU", "quantity": 0})).collect();
    let order = serde_json::json!({"lines": lines, "payment": {"card_token": "tok_visa"}}).to_string();
    let wrong = || {
        let request = gateway.send_json("POST", "/v1/orders", order.clone()).bearer_auth(gateway.key.token("customer"));
        request.header("idempotency-key", "key-12345678")
    };
    let (status, code, plain) = problem_in(wrong().send().await.unwrap()).await;
    assert_eq!((status, code), with(422, "invalid"));
    let packed = wrong().header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!((packed.status().as_u16(), header(&packed, "content-encoding")), (422, Some("gzip")));
    assert_eq!(header(&packed, "content-type"), Some("application/problem+json"));
    let packed: Value = serde_json::from_slice(&unpack(&packed.bytes().await.unwrap())).unwrap();
    assert_eq!(packed["errors"], plain["errors"]);

    let analytics =
        Streams::<contracts::analytics::v1::WatchSalesRequest>::start(&[WatchSalesResponse::default()]).await;
    let gateway = start(&[&format!("--analytics-url={}", analytics.url)]).await;
    let stream = get(&gateway, LIVE, &[("accept-encoding", "gzip")]).await;
    assert_eq!(stream.status(), 200);
    assert_eq!((header(&stream, "content-encoding"), header(&stream, "vary")), (None, None));
}

#[tokio::test]
async fn a_body_that_is_packed_is_415_on_every_route_with_a_body_and_told_so() {
    let gateway = start(&[]).await;
    for (method, path, who, body) in ROUTES {
        let Some(right) = body else { continue };
        let sent = |codings: &[&str]| {
            let request = gateway.right_from(method, path, who, Some(right));
            codings.iter().fold(request, |request, coding| request.header("content-encoding", *coding))
        };
        for codings in [["gzip"].as_slice(), &["br"], &["nonsense"], &["identity, gzip"], &["identity", "gzip"], &[""]]
        {
            let response = sent(codings).send().await.unwrap();
            assert_eq!(header(&response, "accept-encoding"), Some("identity"), "{method} {path} {codings:?}");
            let (status, code, _) = problem_in(response).await;
            assert_eq!((status, code), with(415, "unsupported-media-type"), "{method} {path} {codings:?}");
        }
        assert_eq!(refused(sent(&["identity"])).await, with(503, "unavailable"), "{method} {path}");
    }
}
