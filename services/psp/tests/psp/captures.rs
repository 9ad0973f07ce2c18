//! The list of captures, from which an audit compares.

use std::{collections::BTreeSet, sync::Arc};

use reqwest::StatusCode;
use serde_json::Value;

use crate::process::Psp;

#[tokio::test]
async fn pages_are_complete_and_without_repeats_while_captures_arrive() {
    const CHARGES: usize = 300;
    let psp = Arc::new(Psp::start().await.over_http2());
    // many pages are there from the start, and more come
    for number in 0..CHARGES / 2 {
        psp.charge(&format!("order-{number}"), "tok_visa").await;
    }
    let charging = tokio::spawn({
        let psp = Arc::clone(&psp);
        async move {
            for number in CHARGES / 2..CHARGES {
                psp.charge(&format!("order-{number}"), "tok_visa").await;
            }
        }
    });
    let mut seen: Vec<Value> = Vec::new();
    let mut query = String::new();
    while seen.len() < CHARGES {
        let charged_all = charging.is_finished();
        let (_, page) = psp.get(&format!("/captures?limit=7{query}")).await;
        // `since` includes its own time, so the latest capture is listed once more
        let new = page["items"].as_array().unwrap().iter().filter(|item| seen.last() != Some(item));
        seen.extend(new.cloned().collect::<Vec<_>>());
        query = if let Some(next) = page["next_cursor"].as_str() {
            format!("&cursor={next}")
        } else {
            assert!(!charged_all || seen.len() == CHARGES, "{} of {CHARGES} listed", seen.len());
            let latest = seen.last().map(|item| item["captured_at"].as_str().unwrap().to_owned());
            latest.map(|since| format!("&since={since}")).unwrap_or_default()
        };
    }
    charging.await.unwrap();
    let references: BTreeSet<_> = seen.iter().map(|item| item["merchant_reference"].as_str().unwrap()).collect();
    assert_eq!((references.len(), seen.len()), (CHARGES, CHARGES));
}

#[tokio::test]
async fn since_leaves_out_earlier_captures() {
    let psp = Psp::start().await;
    psp.charge("order-1", "tok_visa").await;
    let (_, second) = psp.charge("order-2", "tok_visa").await;
    psp.charge("order-3", "tok_visa").await;
    let (_, page) = psp.get(&format!("/captures?since={}", second["captured_at"].as_str().unwrap())).await;
    let references: Vec<_> = page["items"].as_array().unwrap().iter().map(|item| &item["merchant_reference"]).collect();
    assert_eq!(references, ["order-2", "order-3"]);
    let (_, page) = psp.get("/captures?since=2999-01-01T00:00:00Z").await;
    assert_eq!(page, serde_json::json!({"items": [], "next_cursor": null}));
}

#[tokio::test]
async fn wrong_parameters_are_refused() {
    let psp = Psp::start().await;
    for query in ["limit=0", "limit=101", "limit=x", "since=yesterday", "cursor=-1", "colour=red"] {
        let (status, problem) = psp.get(&format!("/captures?{query}")).await;
        assert_eq!((status, &problem["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &"invalid".into()), "{query}");
    }
}
