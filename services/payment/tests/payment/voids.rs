//! A void is final, whenever it comes, and the ledger knows.

use std::{sync::Arc, time::Duration};

use contracts::{
    ids::OrderId,
    payment::v1::{PaymentState, charge_response::Outcome as Charged, void_response::Outcome},
};

use crate::platform::Platform;

#[tokio::test]
async fn a_void_that_comes_first_blocks_the_charge() {
    let platform = Platform::start().await;
    let order_id = OrderId::new();
    let outcome = platform.void(order_id).await;
    assert!(matches!(outcome, Outcome::Voided(_)), "{outcome:?}");
    let outcome = platform.charge(order_id, "tok_visa").await;
    assert!(matches!(outcome, Charged::Voided(_)), "{outcome:?}");
    assert_eq!((platform.captures(order_id), platform.voids(order_id)), (0, 1));
    assert!(platform.transfers(order_id).await.is_empty());
}

#[tokio::test]
async fn a_void_after_the_capture_gives_back_and_the_ledger_is_zero() {
    let platform = Platform::start().await;
    let order_id = OrderId::new();
    platform.charge(order_id, "tok_visa").await;
    assert_eq!(platform.owed_by_the_network().await, 1250);
    // every undo repeated twice
    for _ in 0..3 {
        let outcome = platform.void(order_id).await;
        assert!(matches!(outcome, Outcome::Voided(_)), "{outcome:?}");
    }
    assert_eq!((platform.captures(order_id), platform.voids(order_id)), (1, 1));
    assert_eq!(platform.transfers(order_id).await, ["CAPTURE", "VOID"]);
    assert_eq!(platform.owed_by_the_network().await, 0);
}

#[tokio::test]
async fn a_void_settles_a_capture_whose_reply_was_lost() {
    let platform = Platform::start().await;
    let order_id = OrderId::new();
    platform.charge_and_lose_the_reply(order_id).await;
    assert!(platform.transfers(order_id).await.is_empty(), "payment does not know of the capture");
    let outcome = platform.void(order_id).await;
    assert!(matches!(outcome, Outcome::Voided(_)), "{outcome:?}");
    assert_eq!((platform.captures(order_id), platform.voids(order_id)), (1, 1));
    assert_eq!(platform.transfers(order_id).await, ["CAPTURE", "VOID"], "the ledger tells what the network did");
    assert_eq!(platform.owed_by_the_network().await, 0);
}

#[tokio::test]
async fn a_void_wins_against_a_charge_that_is_under_way() {
    let platform = Arc::new(Platform::start().await);
    let order_id = OrderId::new();
    let charging = tokio::spawn({
        let platform = Arc::clone(&platform);
        async move { platform.charge(order_id, "tok_slow_2s").await }
    });
    platform.until_state(order_id, PaymentState::Attempting).await;
    let outcome = platform.void(order_id).await;
    assert!(matches!(outcome, Outcome::Voided(_)), "{outcome:?}");
    let outcome = charging.await.unwrap();
    assert!(matches!(outcome, Charged::Voided(_)), "{outcome:?}");
    assert_eq!(platform.owed_by_the_network().await, 0);
}

#[tokio::test]
async fn charges_racing_voids_end_voided_with_a_ledger_of_zero() {
    let platform = Arc::new(Platform::start().await);
    let cards = ["tok_visa", "tok_flaky", "tok_charged_no_reply", "tok_declined", "tok_bogus"];
    let races = (0..30).map(|number| {
        let platform = Arc::clone(&platform);
        tokio::spawn(async move {
            let order_id = OrderId::new();
            let (_, voided) =
                tokio::join!(platform.charge(order_id, cards[number % cards.len()]), platform.void(order_id));
            assert!(matches!(voided, Outcome::Voided(_)), "{voided:?}");
            order_id
        })
    });
    for race in races.collect::<Vec<_>>() {
        let order_id = race.await.unwrap();
        assert_eq!(platform.state(order_id).await.unwrap(), PaymentState::Voided);
        assert_eq!(platform.voids(order_id), 1);
    }
    assert_eq!(platform.owed_by_the_network().await, 0);
}

#[tokio::test]
async fn a_void_is_unknown_until_the_network_confirms_and_blocks_meanwhile() {
    let mut platform = Platform::start_without_psp().await;
    let order_id = OrderId::new();
    let outcome = platform.void_within(Duration::from_millis(300), order_id).await;
    assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
    platform.start_psp().await;
    let outcome = platform.charge(order_id, "tok_visa").await;
    assert!(matches!(outcome, Charged::Unknown(_)), "not yet voided, and never charged: {outcome:?}");
    let outcome = platform.void(order_id).await;
    assert!(matches!(outcome, Outcome::Voided(_)), "{outcome:?}");
    assert_eq!(platform.captures(order_id), 0);
}
