//! A capture is given back whole and once, and only a capture.

use std::{sync::Arc, time::Duration};

use contracts::{
    ids::OrderId,
    payment::v1::{
        ChargeRequest, PaymentState, charge_response::Outcome as Charged, refund_response::Outcome,
        void_response::Outcome as Voided,
    },
};

use crate::platform::{BUDGET, Platform, charge_item};

#[tokio::test]
async fn a_refund_gives_back_once_however_often_it_is_asked_and_the_ledger_is_zero() {
    let platform = Platform::start().await;
    for card_token in ["tok_visa", "tok_charged_no_reply"] {
        let order_id = OrderId::new();
        platform.charge(order_id, card_token).await;
        assert_eq!(platform.owed_by_the_network().await, 1250);
        for _ in 0..3 {
            let outcome = platform.refund(order_id).await;
            assert!(matches!(outcome, Outcome::Refunded(_)), "{outcome:?}");
        }
        assert_eq!(platform.state(order_id).await.unwrap(), PaymentState::Refunded);
        assert_eq!((platform.captures(order_id), platform.refunds(order_id), platform.voids(order_id)), (1, 1, 0));
        assert_eq!(platform.transfers(order_id).await, ["CAPTURE", "REFUND"]);
        assert_eq!(platform.owed_by_the_network().await, 0);
    }
}

#[tokio::test]
async fn sixteen_refunds_at_once_are_one() {
    let platform = Arc::new(Platform::start().await);
    let order_id = OrderId::new();
    platform.charge(order_id, "tok_visa").await;
    let refunding = (0..16).map(|_| {
        let platform = Arc::clone(&platform);
        tokio::spawn(async move { platform.refund(order_id).await })
    });
    for refunded in refunding.collect::<Vec<_>>() {
        let outcome = refunded.await.unwrap();
        assert!(matches!(outcome, Outcome::Refunded(_)), "{outcome:?}");
    }
    assert_eq!(platform.refunds(order_id), 1);
    assert_eq!(platform.owed_by_the_network().await, 0);
}

#[tokio::test]
async fn where_nothing_is_captured_nothing_is_refunded_and_nothing_written() {
    let platform = Platform::start().await;
    let (declined, unknown, voided, never_asked) = (OrderId::new(), OrderId::new(), OrderId::new(), OrderId::new());
    platform.charge(declined, "tok_declined").await;
    platform.charge(unknown, "tok_bogus").await;
    platform.charge(voided, "tok_visa").await;
    platform.void(voided).await;
    let all = "SELECT COALESCE(string_agg(payments::text, E'\n' ORDER BY order_id), '') FROM payments";
    let before: String = sqlx::query_scalar(all).fetch_one(&platform.database.owner).await.unwrap();
    for order_id in [declined, unknown, voided, never_asked] {
        let outcome = platform.refund(order_id).await;
        assert!(matches!(outcome, Outcome::NothingCaptured(_)), "{outcome:?}");
        assert_eq!(platform.refunds(order_id), 0);
    }
    let after: String = sqlx::query_scalar(all).fetch_one(&platform.database.owner).await.unwrap();
    assert_eq!(after, before);
    // it is not a void: an order that was never charged can still be
    let outcome = platform.charge(never_asked, "tok_visa").await;
    assert!(matches!(outcome, Charged::Captured(_)), "{outcome:?}");
}

#[tokio::test]
async fn a_refund_of_a_charge_that_is_not_settled_is_unknown_and_moves_nothing() {
    let platform = Platform::start().await;
    let order_id = OrderId::new();
    platform.charge_within(Duration::from_millis(100), order_id, "tok_no_reply").await;
    let outcome = platform.refund(order_id).await;
    assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
    assert_eq!(platform.state(order_id).await.unwrap(), PaymentState::Attempting);
    assert_eq!((platform.refunds(order_id), platform.voids(order_id)), (0, 0));
}

#[tokio::test]
async fn a_refund_is_unknown_until_the_network_confirms_and_goes_on_when_it_is_back() {
    let mut platform = Platform::start().await;
    let order_id = OrderId::new();
    platform.charge(order_id, "tok_visa").await;
    platform.kill_psp();
    let outcome = platform.refund_within(Duration::from_millis(300), order_id).await;
    assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
    assert_eq!(platform.state(order_id).await.unwrap(), PaymentState::Refunding);
    assert_eq!(platform.transfers(order_id).await, ["CAPTURE"]);
    // nor is it known meanwhile to whoever asks for something else
    let outcome = platform.charge_within(Duration::from_millis(300), order_id, "tok_visa").await;
    assert!(matches!(outcome, Charged::Unknown(_)), "{outcome:?}");
    let outcome = platform.void_within(Duration::from_millis(300), order_id).await;
    assert!(matches!(outcome, Voided::Unknown(_)), "{outcome:?}");
    platform.begin_refund(order_id);
    platform.start_psp().await;
    platform.until_state(order_id, PaymentState::Refunded).await;
    assert_eq!((platform.refunds(order_id), platform.voids(order_id)), (1, 0));
    assert_eq!(platform.owed_by_the_network().await, 0);
}

#[tokio::test]
async fn a_refund_whose_reply_was_lost_is_settled_by_asking_again() {
    let platform = Platform::start().await;
    let order_id = OrderId::new();
    platform.charge(order_id, "tok_visa").await;
    platform.pause_psp();
    let outcome = platform.refund_within(Duration::from_millis(300), order_id).await;
    assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
    platform.resume_psp();
    let outcome = platform.refund(order_id).await;
    assert!(matches!(outcome, Outcome::Refunded(_)), "{outcome:?}");
    assert_eq!(platform.refunds(order_id), 1);
    assert_eq!(platform.transfers(order_id).await, ["CAPTURE", "REFUND"]);
}

#[tokio::test]
async fn what_is_refunded_is_neither_voided_nor_charged_again() {
    let platform = Platform::start().await;
    let order_id = OrderId::new();
    platform.charge(order_id, "tok_visa").await;
    platform.refund(order_id).await;
    let outcome = platform.void(order_id).await;
    assert!(matches!(outcome, Voided::Voided(_)), "nothing is captured any more: {outcome:?}");
    let outcome = platform.charge(order_id, "tok_visa").await;
    assert!(matches!(outcome, Charged::Voided(_)), "and nothing will be: {outcome:?}");
    assert_eq!(platform.state(order_id).await.unwrap(), PaymentState::Refunded);
    assert_eq!((platform.captures(order_id), platform.refunds(order_id), platform.voids(order_id)), (1, 1, 0));
    assert_eq!(platform.transfers(order_id).await, ["CAPTURE", "REFUND"]);
}

#[tokio::test]
async fn a_refund_does_not_overtake_a_void() {
    let mut platform = Platform::start().await;
    let order_id = OrderId::new();
    platform.charge(order_id, "tok_visa").await;
    platform.kill_psp();
    platform.void_within(Duration::from_millis(300), order_id).await;
    let outcome = platform.refund(order_id).await;
    assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
    platform.start_psp().await;
    platform.void(order_id).await;
    let outcome = platform.refund(order_id).await;
    assert!(matches!(outcome, Outcome::NothingCaptured(_)), "{outcome:?}");
    assert_eq!((platform.refunds(order_id), platform.voids(order_id)), (0, 1));
}

#[tokio::test]
async fn refunds_racing_voids_and_charges_give_back_once() {
    let platform = Arc::new(Platform::start().await);
    let races = (0..30).map(|_| {
        let platform = Arc::clone(&platform);
        tokio::spawn(async move {
            let order_id = OrderId::new();
            platform.charge(order_id, "tok_visa").await;
            tokio::join!(platform.refund(order_id), platform.void(order_id), platform.charge(order_id, "tok_visa"));
            order_id
        })
    });
    for race in races.collect::<Vec<_>>() {
        let order_id = race.await.unwrap();
        let undone = (platform.refunds(order_id), platform.voids(order_id));
        match platform.state(order_id).await.unwrap() {
            PaymentState::Refunded => assert_eq!(undone, (1, 0)),
            PaymentState::Voided => assert_eq!(undone, (0, 1)),
            state => panic!("{state:?}"),
        }
        assert_eq!(platform.captures(order_id), 1);
    }
    assert_eq!(platform.owed_by_the_network().await, 0);
}

#[tokio::test]
async fn a_free_order_is_refunded_although_there_is_nothing_to_give_back() {
    let platform = Platform::start().await;
    let order_id = OrderId::new();
    let request = ChargeRequest { items: vec![charge_item(order_id, 0, "tok_visa", BUDGET)] };
    platform.client().charge(request).await.unwrap().into_inner().message().await.unwrap();
    let outcome = platform.refund(order_id).await;
    assert!(matches!(outcome, Outcome::Refunded(_)), "{outcome:?}");
    assert_eq!(platform.state(order_id).await.unwrap(), PaymentState::Refunded);
}

#[tokio::test]
async fn a_refund_that_the_network_refuses_stays_open_for_a_person() {
    let platform = Platform::start().await;
    let order_id = OrderId::new();
    platform.charge(order_id, "tok_visa").await;
    platform.void_behind_our_back(order_id).await;
    let outcome = platform.refund(order_id).await;
    assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
    assert_eq!(platform.state(order_id).await.unwrap(), PaymentState::Refunding);
    assert_eq!(platform.transfers(order_id).await, ["CAPTURE"]);
}
