//! Requests that cannot be right, and connections that never finish.

use std::time::Duration;

use reqwest::{
    StatusCode,
    header::{CONTENT_TYPE, HeaderValue},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::process::Psp;

const RIGHT: &str =
    r#"{"merchant_reference":"order-1","amount":{"amount_minor":1250,"currency":"EUR"},"card_token":"tok_visa"}"#;

#[tokio::test]
async fn bad_requests_are_problems_and_capture_nothing() {
    let psp = Psp::start().await;
    let long = "x".repeat(65);
    let cases = [
        ("", StatusCode::BAD_REQUEST),
        ("{", StatusCode::BAD_REQUEST),
        (&RIGHT.replace("1250", "1e309"), StatusCode::BAD_REQUEST),
        ("{}", StatusCode::UNPROCESSABLE_ENTITY),
        (&RIGHT.replace("1250", "-1"), StatusCode::UNPROCESSABLE_ENTITY),
        (&RIGHT.replace("1250", "12.5"), StatusCode::UNPROCESSABLE_ENTITY),
        (&RIGHT.replace("1250", "9223372036854775808"), StatusCode::UNPROCESSABLE_ENTITY),
        (&RIGHT.replace("EUR", "eur"), StatusCode::UNPROCESSABLE_ENTITY),
        (&RIGHT.replace("EUR", "EURO"), StatusCode::UNPROCESSABLE_ENTITY),
        (&RIGHT.replace("order-1", ""), StatusCode::UNPROCESSABLE_ENTITY),
        (&RIGHT.replace("order-1", "a b"), StatusCode::UNPROCESSABLE_ENTITY),
        (&RIGHT.replace("order-1", r"\u0000"), StatusCode::UNPROCESSABLE_ENTITY),
        (&RIGHT.replace("order-1", &long), StatusCode::UNPROCESSABLE_ENTITY),
        (&RIGHT.replace("tok_visa", ""), StatusCode::UNPROCESSABLE_ENTITY),
        (&RIGHT.replace("{\"merchant", "{\"colour\":1,\"merchant"), StatusCode::UNPROCESSABLE_ENTITY),
        (&RIGHT.replace("{\"merchant", "{\"card_token\":\"tok_flaky\",\"merchant"), StatusCode::UNPROCESSABLE_ENTITY),
        (&format!("{RIGHT}{}", " ".repeat(5000)), StatusCode::PAYLOAD_TOO_LARGE),
    ];
    for (body, status) in cases {
        let request = psp.client().post(psp.url("/charges")).header(CONTENT_TYPE, "application/json");
        let response = request.body(body.to_owned()).send().await.unwrap();
        assert_eq!(response.status(), status, "{body}");
        assert_eq!(response.headers()[CONTENT_TYPE], HeaderValue::from_static("application/problem+json"), "{body}");
    }
    assert!(psp.captures(100).await.is_empty());
    assert_eq!(psp.books(), "");
}

#[tokio::test]
async fn wrong_paths_methods_and_media_types_are_problems() {
    let psp = Psp::start().await;
    let http = psp.client();
    let cases = [
        (http.get(psp.url("/nothing")), StatusCode::NOT_FOUND),
        (http.get(psp.url("/charges/order-1")), StatusCode::NOT_FOUND),
        (http.get(psp.url("/charges/a%20b")), StatusCode::NOT_FOUND),
        (http.delete(psp.url("/charges")), StatusCode::METHOD_NOT_ALLOWED),
        (http.post(psp.url("/charges")).body(RIGHT), StatusCode::UNSUPPORTED_MEDIA_TYPE),
    ];
    for (request, status) in cases {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()[CONTENT_TYPE], HeaderValue::from_static("application/problem+json"));
    }
}

#[tokio::test]
async fn a_half_sent_head_is_cut_off() {
    let psp = Psp::start().await;
    let mut half_sent = TcpStream::connect(psp.address()).await.unwrap();
    half_sent.write_all(b"GET /captures HTTP/1.1\r\nhost: psp\r\n").await.unwrap();
    let mut silent = TcpStream::connect(psp.address()).await.unwrap();
    let mut answer = Vec::new();
    let cut_off = Duration::from_secs(15);
    timeout(cut_off, half_sent.read_to_end(&mut answer)).await.expect("a half-sent head is cut off").unwrap();
    timeout(cut_off, silent.read_to_end(&mut answer)).await.expect("a silent connection is cut off").unwrap();
}
