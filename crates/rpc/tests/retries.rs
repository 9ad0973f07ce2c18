//! Calls that are made again: how often, and what is known in the end.

mod peer;

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use contracts::payment::v1::{Charge, ChargeRequest, ChargeResponse, payment_service_client::PaymentServiceClient};
use futures::{StreamExt, stream};
use peer::{Does, Peer, once, repeatable};
use rpc::Lists;
use tonic::Code;

/// Calls of a storm.
const STORM: usize = 2_000;

/// A tenth of them, and 3 a second for 10 s.
const REPEATS_MAX: usize = STORM / 10 + 30;

/// A peer that throws back all but every third call, so that nobody takes it for silent.
async fn failing_mostly() -> Peer {
    let calls = AtomicUsize::new(0);
    Peer::start(
        move |_| {
            if calls.fetch_add(1, Ordering::Relaxed).is_multiple_of(3) { Does::Answers } else { Does::Resets }
        },
    )
    .await
}

#[tokio::test]
async fn in_a_storm_few_calls_are_made_again() {
    let peer = failing_mostly().await;
    let channel = peer.channel();
    let calls = stream::iter(0..STORM).map(|_| repeatable(&channel, Duration::from_secs(5))).buffer_unordered(50);
    calls.collect::<Vec<_>>().await;
    let repeats = peer.calls().iter().filter(|call| call.tries_before.is_some()).count();
    assert_eq!(peer.count() - repeats, STORM);
    assert!((REPEATS_MAX / 2..=REPEATS_MAX).contains(&repeats), "{repeats} repeats");
}

#[tokio::test]
async fn in_a_storm_few_items_of_lists_are_asked_again() {
    let peer = failing_mostly().await;
    let channel = peer.channel();
    let lists = Lists::start("payment.v1.PaymentService/Charge", |outcome: &ChargeResponse| &outcome.order_id, {
        let client = PaymentServiceClient::new(channel.clone());
        move |request| {
            let mut client = client.clone();
            async move { client.charge(request.map(|items| ChargeRequest { items })).await }
        }
    });
    let made = AtomicUsize::new(0);
    let storm = stream::iter(0..STORM).map(|number| {
        let (lists, made) = (&lists, &made);
        async move {
            let item = |_| {
                made.fetch_add(1, Ordering::Relaxed);
                Charge::default()
            };
            lists.ask(Duration::from_secs(5), &number.to_string(), item).await.expect_err("nobody is charged");
        }
    });
    storm.buffer_unordered(50).collect::<Vec<_>>().await;
    let repeats = made.load(Ordering::Relaxed) - STORM;
    assert!((REPEATS_MAX / 2..=REPEATS_MAX).contains(&repeats), "{repeats} repeats");
}

#[tokio::test]
async fn a_call_tells_how_many_tries_there_were_before() {
    let peer = Peer::start(|_| Does::Resets).await;
    repeatable(&peer.channel(), Duration::from_secs(5)).await.expect_err("it is thrown back");
    let tries: Vec<_> = peer.calls().into_iter().map(|call| call.tries_before).collect();
    assert_eq!(tries, [None, Some("1".to_owned()), Some("2".to_owned())]);
}

#[tokio::test]
async fn a_try_that_was_sent_is_not_hidden_by_one_that_was_not() {
    let peer = Peer::start(|_| Does::Resets).await;
    let channel = peer.channel();
    for _ in 0..4 {
        once(&channel, Duration::from_secs(5)).await.expect_err("it is thrown back");
    }
    // its first try is the fifth call that is lost; before the second nobody is asked any more
    let status = repeatable(&channel, Duration::from_secs(5)).await.expect_err("it is thrown back");
    assert_eq!(peer.count(), 5);
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(!rpc::was_not_sent(&status), "{status:?}");
    let refused = once(&channel, Duration::from_secs(5)).await.expect_err("nobody is asked");
    assert!(rpc::was_not_sent(&refused), "{refused:?}");
}
