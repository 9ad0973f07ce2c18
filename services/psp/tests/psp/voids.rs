//! A void is final, whenever it comes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::StatusCode;
use serde_json::json;

use crate::process::Psp;

#[tokio::test]
async fn a_void_gives_back_what_was_captured_and_is_final() {
    let psp = Psp::start().await;
    psp.charge("order-1", "tok_visa").await;
    let voided = psp.void("order-1").await;
    assert_eq!((voided.0, &voided.1["voided"]), (StatusCode::OK, &json!(true)));
    assert!(voided.1["captured_at"].is_string(), "the void tells that there was a capture");
    assert_eq!(psp.void("order-1").await, voided);
    let (status, problem) = psp.charge("order-1", "tok_visa").await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("charge-voided")));
}

#[tokio::test]
async fn a_void_that_comes_first_blocks_the_charge_also_across_a_restart() {
    let mut psp = Psp::start().await;
    let (status, charge) = psp.void("order-1").await;
    assert_eq!((status, &charge["voided"], &charge["amount"]), (StatusCode::OK, &json!(true), &json!(null)));
    psp.kill_and_restart().await;
    for card_token in ["tok_visa", "tok_slow_2s", "tok_flaky", "tok_charged_no_reply", "tok_no_reply", "tok_bogus"] {
        assert_eq!(psp.charge("order-1", card_token).await.0, StatusCode::CONFLICT, "{card_token}");
    }
    assert!(psp.captures(100).await.is_empty());
}

#[tokio::test]
async fn a_void_wins_against_a_charge_in_its_slow_two_seconds() {
    let psp = Arc::new(Psp::start().await);
    let slow = tokio::spawn({
        let psp = Arc::clone(&psp);
        async move { psp.charge("order-1", "tok_slow_2s").await }
    });
    let deadline = Instant::now() + Duration::from_secs(10);
    while psp.get("/charges/order-1").await.0 == StatusCode::NOT_FOUND {
        assert!(Instant::now() < deadline, "the slow charge never began");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (status, voided) = psp.void("order-1").await;
    assert_eq!((status, &voided["captured_at"]), (StatusCode::OK, &json!(null)), "voided before the capture");
    assert_eq!(slow.await.unwrap().0, StatusCode::CONFLICT);
    assert!(psp.captures(100).await.is_empty());
}

#[tokio::test]
async fn charges_racing_voids_never_leave_a_capture_that_is_not_voided() {
    let psp = Arc::new(Psp::start().await);
    let races = (0..50).map(|number| {
        let psp = Arc::clone(&psp);
        tokio::spawn(async move {
            let reference = format!("order-{number}");
            tokio::join!(psp.charge(&reference, "tok_visa"), psp.void(&reference))
        })
    });
    for race in races.collect::<Vec<_>>() {
        let ((charged, _), (voided, _)) = race.await.unwrap();
        assert!(charged == StatusCode::OK || charged == StatusCode::CONFLICT);
        assert_eq!(voided, StatusCode::OK);
    }
    assert!(psp.captures(100).await.iter().all(|capture| capture["voided"] == true));
}
