//! Requests as strangers may send them.

use axum::{
    body::Body as HttpBody,
    extract::{FromRequest, FromRequestParts},
    http::{Request, header::CONTENT_TYPE},
};
use serde_json::{Value, json};
use tokio::runtime::Builder;

use super::*;

const BODIES: [&str; 5] = [
    r#"{"merchant_reference":"01936b1e-7c5a-7cc2-a3f1-0242ac120002","amount":{"amount_minor":1250,"currency":"EUR"},"card_token":"tok_visa"}"#,
    r#"{"refund_reference":"r","amount":{"amount_minor":1,"currency":"EUR"}}"#,
    r#"{"merchant_reference":"a","amount":{"amount_minor":9223372036854775808,"currency":"eur"},"card_token":"","card_token":" "}"#,
    r#"{"merchant_reference":"a","amount":{"amount_minor":1.0,"currency":"EURO","more":null},"card_token":"tok_visa"}"#,
    "[]",
];

const QUERIES: [&str; 6] = [
    "since=2026-11-21T09:00:00Z&limit=100",
    "cursor=20&limit=1",
    "cursor=%2B20",
    "cursor=020&limit=0",
    "since=yesterday&colour=red",
    "limit=1&limit=2",
];

#[test]
fn a_body_is_taken_as_it_is_written_or_refused_as_a_problem() {
    let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
    fuzzing::target!("bodies", &BODIES, |bytes| {
        let request = || {
            let request = Request::post("/").header(CONTENT_TYPE, "application/json");
            request.body(HttpBody::from(bytes.to_vec())).expect("a request")
        };
        runtime.block_on(async {
            match Body::<ChargeRequest>::from_request(request(), &()).await {
                Ok(Body(ChargeRequest { merchant_reference, amount, card_token })) => {
                    let told =
                        json!({"merchant_reference": merchant_reference, "amount": amount, "card_token": card_token});
                    is_as_written(&told, bytes);
                }
                Err(problem) => is_the_callers_fault(problem),
            }
            match Body::<Refund>::from_request(request(), &()).await {
                Ok(Body(refund)) => is_as_written(&json!(refund), bytes),
                Err(problem) => is_the_callers_fault(problem),
            }
        });
    });
}

#[test]
fn a_query_of_captures_is_taken_with_a_cursor_that_could_have_been_given_or_refused() {
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    fuzzing::target!("queries", &QUERIES, |bytes| {
        let Ok(request) = Request::get([b"/captures?".as_slice(), bytes].concat()).body(()) else { return };
        let (mut parts, ()) = request.into_parts();
        match runtime.block_on(Parameters::<CapturesQuery>::from_request_parts(&mut parts, &())) {
            Ok(Parameters(CapturesQuery { cursor: Some(Cursor(first)), .. })) => {
                let given = format!("cursor={first}");
                let query = parts.uri.query().unwrap_or_default();
                let decoded = query.split('&').any(|pair| pair == given || pair.contains('%'));
                assert!(decoded, "{first} is taken from {query}");
            }
            Ok(_) => {}
            Err(problem) => is_the_callers_fault(problem),
        }
    });
}

/// What is taken is what was written, and all of it.
fn is_as_written(taken: &Value, bytes: &[u8]) {
    // serde takes a list of the fields in their sequence as well
    if !bytes.contains(&b'[') {
        assert_eq!(*taken, serde_json::from_slice::<Value>(bytes).expect("it was read"));
    }
}

fn is_the_callers_fault(problem: Problem) {
    assert!(problem.into_response().status().is_client_error());
}
