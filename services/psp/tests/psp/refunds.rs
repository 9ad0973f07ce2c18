//! Refunds: each once, and never more than was captured.

use std::sync::Arc;

use reqwest::StatusCode;
use serde_json::json;

use crate::process::Psp;

#[tokio::test]
async fn refunds_stay_within_the_capture() {
    let psp = Psp::start().await;
    psp.charge("order-1", "tok_visa").await;
    assert_eq!(psp.refund("order-1", "refund-1", 1000).await.0, StatusCode::OK);
    let (status, problem) = psp.refund("order-1", "refund-2", 251).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("refund-exceeds-capture")));
    let (status, charge) = psp.refund("order-1", "refund-3", 250).await;
    assert_eq!((status, &charge["refunded"]["amount_minor"]), (StatusCode::OK, &json!(1250)));
}

#[tokio::test]
async fn the_largest_amount_is_captured_and_refunded_to_the_last_unit() {
    let mut psp = Psp::start().await;
    let body = json!({
        "merchant_reference": "order-1",
        "amount": {"amount_minor": i64::MAX, "currency": "EUR"},
        "card_token": "tok_visa",
    });
    assert_eq!(psp.post("/charges", &body).await.unwrap().status(), StatusCode::OK);
    psp.kill_and_restart().await;
    assert_eq!(psp.refund("order-1", "refund-1", 1).await.0, StatusCode::OK);
    let rest = u64::try_from(i64::MAX).unwrap() - 1;
    assert_eq!(psp.refund("order-1", "refund-2", rest).await.0, StatusCode::OK);
    let (status, problem) = psp.refund("order-1", "refund-3", 1).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("refund-exceeds-capture")));
}

#[tokio::test]
async fn a_refund_asked_50_times_at_once_is_made_once() {
    let psp = Arc::new(Psp::start().await);
    psp.charge("order-1", "tok_visa").await;
    let asking = (0..50).map(|_| {
        let psp = Arc::clone(&psp);
        tokio::spawn(async move { psp.refund("order-1", "refund-1", 500).await.0 })
    });
    for asked in asking.collect::<Vec<_>>() {
        assert_eq!(asked.await.unwrap(), StatusCode::OK);
    }
    assert_eq!(psp.get("/charges/order-1").await.1["refunded_minor"], 500);
}

#[tokio::test]
async fn a_refund_reference_keeps_its_amount() {
    let psp = Psp::start().await;
    psp.charge("order-1", "tok_visa").await;
    psp.refund("order-1", "refund-1", 500).await;
    let (status, problem) = psp.refund("order-1", "refund-1", 501).await;
    assert_eq!((status, &problem["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("reference-reused")));
}

#[tokio::test]
async fn only_a_capture_is_refunded() {
    let psp = Psp::start().await;
    assert_eq!(psp.refund("no-such-order", "refund-1", 1).await.0, StatusCode::NOT_FOUND);
    psp.charge("declined", "tok_declined").await;
    assert_eq!(psp.refund("declined", "refund-1", 1).await.0, StatusCode::CONFLICT);
    psp.charge("voided", "tok_visa").await;
    psp.void("voided").await;
    assert_eq!(psp.refund("voided", "refund-1", 1).await.0, StatusCode::CONFLICT, "the void gave everything back");
    psp.charge("captured", "tok_visa").await;
    assert_eq!(psp.refund("captured", "refund-1", 0).await.0, StatusCode::UNPROCESSABLE_ENTITY);
}
