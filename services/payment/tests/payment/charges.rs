//! What each card leads to, and that one order is captured once.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use contracts::{
    ids::OrderId,
    payment::v1::{ChargeRequest, PaymentState, charge_response::Outcome},
};

use crate::platform::{BUDGET, Platform, charge_item, free_address};

#[tokio::test]
async fn each_card_leads_to_its_outcome() {
    let platform = Platform::start().await;
    for (card_token, captures) in [("tok_visa", 1), ("tok_slow_2s", 1), ("tok_flaky", 1), ("tok_charged_no_reply", 1)] {
        let order_id = OrderId::new();
        let outcome = platform.charge(order_id, card_token).await;
        assert!(matches!(&outcome, Outcome::Captured(captured) if captured.captured_at.is_some()), "{outcome:?}");
        assert_eq!(platform.state(order_id).await.unwrap(), PaymentState::Captured);
        assert_eq!(platform.captures(order_id), captures, "{card_token}");
        assert_eq!(platform.transfers(order_id).await, ["CAPTURE"]);
    }
    for (card_token, reason) in [("tok_declined", "declined"), ("tok_insufficient_funds", "insufficient_funds")] {
        let order_id = OrderId::new();
        let outcome = platform.charge(order_id, card_token).await;
        assert!(matches!(&outcome, Outcome::Declined(declined) if declined.reason == reason), "{outcome:?}");
        assert_eq!(platform.state(order_id).await.unwrap(), PaymentState::Declined);
        assert!(platform.transfers(order_id).await.is_empty());
    }
    let order_id = OrderId::new();
    let outcome = platform.charge(order_id, "tok_bogus").await;
    assert!(matches!(outcome, Outcome::UnknownCard(_)), "{outcome:?}");
    assert_eq!(platform.state(order_id).await.unwrap(), PaymentState::UnknownCard);
}

#[tokio::test]
async fn a_card_that_never_replies_is_unknown_and_never_declined() {
    let platform = Platform::start().await;
    let order_id = OrderId::new();
    let begun = Instant::now();
    let outcome = platform.charge_within(Duration::from_millis(500), order_id, "tok_no_reply").await;
    assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
    assert!(begun.elapsed() < Duration::from_secs(3), "the budget is kept: {:?}", begun.elapsed());
    assert_eq!(platform.state(order_id).await.unwrap(), PaymentState::Attempting);
    assert_eq!(platform.captures(order_id), 0);
}

#[tokio::test]
async fn an_order_charged_twice_is_captured_once_and_gets_its_outcome_again() {
    let platform = Platform::start().await;
    for card_token in ["tok_visa", "tok_declined", "tok_bogus"] {
        let order_id = OrderId::new();
        let first = platform.charge(order_id, card_token).await;
        assert_eq!(platform.charge(order_id, card_token).await, first);
        assert_eq!(platform.captures(order_id), usize::from(card_token == "tok_visa"));
    }
    assert_eq!(platform.owed_by_the_network().await, 1250);
}

#[tokio::test]
async fn an_order_charged_20_times_at_once_is_captured_once() {
    for card_token in ["tok_visa", "tok_slow_2s", "tok_flaky", "tok_charged_no_reply"] {
        let platform = Arc::new(Platform::start().await);
        let order_id = OrderId::new();
        let charging = (0..20).map(|_| {
            let platform = Arc::clone(&platform);
            tokio::spawn(async move { platform.charge(order_id, card_token).await })
        });
        for charged in charging.collect::<Vec<_>>() {
            let outcome = charged.await.unwrap();
            assert!(matches!(outcome, Outcome::Captured(_)), "{card_token}: {outcome:?}");
        }
        assert_eq!(platform.captures(order_id), 1, "{card_token}");
        assert_eq!(platform.owed_by_the_network().await, 1250, "{card_token}");
    }
}

#[tokio::test]
async fn a_charge_whose_reply_was_lost_is_settled_by_asking_again() {
    let platform = Platform::start().await;
    let order_id = OrderId::new();
    platform.charge_and_lose_the_reply(order_id).await;
    assert_eq!(platform.state(order_id).await.unwrap(), PaymentState::Attempting);
    let outcome = platform.charge(order_id, "tok_slow_2s").await;
    assert!(matches!(outcome, Outcome::Captured(_)), "{outcome:?}");
    assert_eq!(platform.captures(order_id), 1);
    assert_eq!(platform.owed_by_the_network().await, 1250);
}

#[tokio::test]
async fn another_amount_or_card_for_the_same_order_is_refused_and_charges_nothing() {
    let platform = Platform::start().await;
    let (captured, unanswered) = (OrderId::new(), OrderId::new());
    platform.charge(captured, "tok_visa").await;
    platform.charge_within(Duration::from_millis(100), unanswered, "tok_no_reply").await;
    let items = vec![
        charge_item(captured, 1251, "tok_visa", BUDGET),
        charge_item(captured, 1250, "tok_slow_2s", BUDGET),
        charge_item(unanswered, 1250, "tok_visa", BUDGET),
    ];
    let mut outcomes = platform.client().charge(ChargeRequest { items }).await.unwrap().into_inner();
    while let Some(response) = outcomes.message().await.unwrap() {
        let outcome = response.outcome.unwrap();
        let refused =
            matches!(&outcome, Outcome::Unknown(unknown) if unknown.detail.contains("another amount or card"));
        assert!(refused, "{outcome:?}");
    }
    assert_eq!((platform.captures(captured), platform.captures(unanswered)), (1, 0));
    assert_eq!(platform.owed_by_the_network().await, 1250);
}

#[tokio::test]
async fn an_answer_that_decides_nothing_is_not_a_decline() {
    // something that answers every charge with 404: it proves nothing
    let not_the_network = free_address();
    let nothing = tokio::net::TcpListener::bind(not_the_network).await.unwrap();
    tokio::spawn(async move { axum::serve(nothing, axum::Router::new()).await });
    let platform = Platform::start_with_psp_at(not_the_network).await;
    let order_id = OrderId::new();
    let outcome = platform.charge_within(Duration::from_millis(300), order_id, "tok_visa").await;
    assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
    assert_eq!(platform.state(order_id).await.unwrap(), PaymentState::Attempting);
}

#[tokio::test]
async fn a_slow_card_does_not_delay_the_others_of_its_list() {
    let platform = Platform::start().await;
    let (slow, fast) = (OrderId::new(), OrderId::new());
    let items = vec![charge_item(slow, 1250, "tok_slow_2s", BUDGET), charge_item(fast, 1250, "tok_visa", BUDGET)];
    let mut outcomes = platform.client().charge(ChargeRequest { items }).await.unwrap().into_inner();
    assert_eq!(outcomes.message().await.unwrap().unwrap().order_id, fast.to_string());
    assert_eq!(platform.state(slow).await.unwrap(), PaymentState::Attempting);
    assert_eq!(outcomes.message().await.unwrap().unwrap().order_id, slow.to_string());
}

#[tokio::test]
async fn a_charge_is_finished_even_if_the_caller_hangs_up() {
    let platform = Platform::start().await;
    let order_id = OrderId::new();
    let request = ChargeRequest { items: vec![charge_item(order_id, 1250, "tok_slow_2s", BUDGET)] };
    let outcomes = platform.client().charge(request).await.unwrap();
    drop(outcomes);
    platform.until_state(order_id, PaymentState::Captured).await;
    assert_eq!(platform.captures(order_id), 1);
}

#[tokio::test]
async fn the_card_token_is_never_stored() {
    let platform = Platform::start().await;
    for card_token in ["tok_visa", "tok_no_reply"] {
        let order_id = OrderId::new();
        platform.charge_within(Duration::from_millis(300), order_id, card_token).await;
        let row: String = sqlx::query_scalar("SELECT payments::text FROM payments WHERE order_id = $1")
            .bind(order_id.as_uuid())
            .fetch_one(&platform.database.owner)
            .await
            .unwrap();
        assert!(!row.contains(card_token), "{row}");
    }
}
