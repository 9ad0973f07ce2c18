//! What each card does, and that one reference has one outcome.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::StatusCode;
use serde_json::json;

use crate::process::Psp;

#[tokio::test]
async fn visa_captures_and_a_repeat_gets_the_same_answer() {
    let psp = Psp::start().await;
    let first = psp.charge("order-1", "tok_visa").await;
    assert_eq!(first.0, StatusCode::OK);
    assert_eq!(first.1["status"], "CAPTURED");
    assert_eq!(first.1["amount"], json!({"amount_minor": 1250, "currency": "EUR"}));
    assert_eq!(psp.charge("order-1", "tok_visa").await, first);
    assert_eq!(psp.captures_of("order-1").await, 1);
}

#[tokio::test]
async fn a_charge_asked_50_times_at_once_captures_once() {
    for card_token in ["tok_visa", "tok_slow_2s"] {
        let psp = Arc::new(Psp::start().await);
        let asking = (0..50).map(|_| {
            let psp = Arc::clone(&psp);
            tokio::spawn(async move { psp.charge("order-1", card_token).await })
        });
        let mut answers = Vec::new();
        for asked in asking.collect::<Vec<_>>() {
            answers.push(asked.await.unwrap());
        }
        assert!(answers.iter().all(|answer| answer.0 == StatusCode::OK && *answer == answers[0]), "{answers:?}");
        assert_eq!(psp.captures(100).await.len(), 1);
    }
}

#[tokio::test]
async fn declines_name_their_reason_and_capture_nothing() {
    let psp = Psp::start().await;
    for (card_token, reason) in [("tok_declined", "declined"), ("tok_insufficient_funds", "insufficient_funds")] {
        for _ in 0..2 {
            let (status, problem) = psp.charge(card_token, card_token).await;
            assert_eq!(status, StatusCode::PAYMENT_REQUIRED);
            assert_eq!((&problem["code"], &problem["detail"]), (&json!("payment-declined"), &json!(reason)));
        }
    }
    assert!(psp.captures(100).await.is_empty());
}

#[tokio::test]
async fn an_unknown_card_is_refused_each_time() {
    let psp = Psp::start().await;
    for _ in 0..2 {
        let (status, problem) = psp.charge("order-1", "tok_bogus").await;
        assert_eq!((status, &problem["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("unknown-card")));
    }
    assert!(psp.captures(100).await.is_empty());
}

#[tokio::test]
async fn the_slow_card_captures_after_two_seconds() {
    let psp = Psp::start().await;
    let begun = Instant::now();
    assert_eq!(psp.charge("order-1", "tok_slow_2s").await.0, StatusCode::OK);
    assert!(begun.elapsed() >= Duration::from_secs(2));
    let begun = Instant::now();
    assert_eq!(psp.charge("order-1", "tok_slow_2s").await.0, StatusCode::OK);
    assert!(begun.elapsed() < Duration::from_secs(2), "a decided charge is answered at once");
}

#[tokio::test]
async fn the_slow_card_captures_even_if_the_caller_hangs_up() {
    let psp = Psp::start().await;
    let body = json!({
        "merchant_reference": "order-1",
        "amount": {"amount_minor": 1250, "currency": "EUR"},
        "card_token": "tok_slow_2s",
    });
    let hang_up = Duration::from_millis(300);
    assert!(psp.client().post(psp.url("/charges")).timeout(hang_up).json(&body).send().await.is_err());
    let deadline = Instant::now() + Duration::from_secs(10);
    while psp.captures_of("order-1").await == 0 {
        assert!(Instant::now() < deadline, "never captured");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn the_flaky_card_fails_twice_under_each_reference_also_across_a_restart() {
    let mut psp = Psp::start().await;
    assert_eq!(psp.charge("order-1", "tok_flaky").await.0, StatusCode::INTERNAL_SERVER_ERROR);
    psp.kill_and_restart().await;
    assert_eq!(psp.charge("order-1", "tok_flaky").await.0, StatusCode::INTERNAL_SERVER_ERROR);
    psp.kill_and_restart().await;
    assert_eq!(psp.charge("order-1", "tok_flaky").await.0, StatusCode::OK);
    assert_eq!(psp.charge("order-2", "tok_flaky").await.0, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(psp.captures(100).await.len(), 1);
}

#[tokio::test]
async fn charged_no_reply_captures_and_answers_only_when_asked_again() {
    for psp in [Psp::start().await, Psp::start().await.over_http2()] {
        psp.try_charge("order-1", "tok_charged_no_reply").await.unwrap_err();
        assert_eq!(psp.captures_of("order-1").await, 1);
        assert_eq!(psp.charge("order-1", "tok_charged_no_reply").await.0, StatusCode::OK);
        assert_eq!(psp.captures_of("order-1").await, 1);
    }
}

#[tokio::test]
async fn no_reply_never_answers_and_never_captures() {
    for psp in [Psp::start().await, Psp::start().await.over_http2()] {
        for _ in 0..3 {
            psp.try_charge("order-1", "tok_no_reply").await.unwrap_err();
        }
        assert!(psp.captures(100).await.is_empty());
        assert_eq!(psp.get("/charges/order-1").await.1["status"], "PENDING");
    }
}

#[tokio::test]
async fn a_dropped_answer_does_not_disturb_other_requests_on_the_same_http2_connection() {
    let psp = Arc::new(Psp::start().await.over_http2());
    let slow = tokio::spawn({
        let psp = Arc::clone(&psp);
        async move { psp.charge("slow", "tok_slow_2s").await }
    });
    psp.try_charge("dropped", "tok_no_reply").await.unwrap_err();
    assert!(!slow.is_finished());
    assert_eq!(slow.await.unwrap().0, StatusCode::OK);
}

#[tokio::test]
async fn a_reference_keeps_its_amount_and_its_card() {
    let psp = Psp::start().await;
    psp.charge("order-1", "tok_visa").await;
    psp.charge("order-2", "tok_bogus").await;
    psp.try_charge("order-3", "tok_no_reply").await.unwrap_err();
    for (reference, minor, card_token) in [
        ("order-1", 1251, "tok_visa"),
        ("order-1", 1250, "tok_flaky"),
        ("order-2", 1250, "tok_visa"),
        ("order-3", 1250, "tok_visa"),
    ] {
        let body = json!({
            "merchant_reference": reference,
            "amount": {"amount_minor": minor, "currency": "EUR"},
            "card_token": card_token,
        });
        let response = psp.post("/charges", &body).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert!(response.text().await.unwrap().contains("reference-reused"));
    }
    assert_eq!(psp.captures(100).await.len(), 1);
}
