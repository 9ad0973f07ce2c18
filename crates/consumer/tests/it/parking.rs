//! Bad letters, and the letters behind them.

use std::time::Duration;

use testkit::{SOON, eventually};

use crate::{
    recorder::{Mood, Moods},
    world::{World, letter},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_letter_holds_back_its_key_alone_and_is_done_in_order_once_it_is_accepted() {
    let world = World::new(3).await;
    let moods = Moods::default();
    moods.set("bad", Mood::RejectFirst);
    let mut config = world.config();
    // as long as the test needs
    config.retry_tries_max = u32::MAX;
    let member = world.start_recorder_with(config, &moods);
    let events = world.send_many(&["bad", "a", "b", "c", "d", "e"], 10).await;
    world.passed(events.len()).await;
    for key in ["a", "b", "c", "d", "e"] {
        assert_eq!(world.effects_of(key).await, (1..=10).collect::<Vec<_>>());
    }
    let parked = world.parked().await;
    assert!(parked.iter().all(|(_, key, ..)| key == "bad"), "{parked:?}");
    assert_eq!(parked.len(), 10);
    assert_eq!(world.effects_of("bad").await, [0; 0]);

    moods.accept("bad");
    eventually(SOON, "the key is free", async || world.parked().await.is_empty()).await;
    world.each_once_in_order(&events).await;
    world.send(&letter("bad", 11)).await;
    world.passed(events.len() + 1).await;
    assert_eq!(world.effects_of("bad").await, (1..=11).collect::<Vec<_>>());
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_that_nobody_can_read_are_parked_and_block_nothing_but_their_key() {
    let world = World::new(1).await;
    let good = letter("a", 1);
    let headers = good.to_headers();
    // a tombstone, no envelope, a foreign key, no key, a key longer than an index takes
    let long = "k".repeat(100_000);
    world.send_raw(Some(b"tombstone"), &letter("tombstone", 1).to_headers(), None).await;
    world.send_raw(Some(b"no envelope"), &[], Some(b"x")).await;
    world.send_raw(Some(b"foreign"), &headers, Some(b"x")).await;
    world.send_raw(None, &headers, Some(b"x")).await;
    world.send_raw(None, &headers, Some(b"x")).await;
    world.send_raw(Some(long.as_bytes()), &headers, Some(b"x")).await;
    world.send(&letter("tombstone", 2)).await;
    world.send(&good).await;
    let mut config = world.config();
    config.retry_tries_max = u32::MAX;
    let member = world.start_recorder_with(config, &Moods::default());
    world.passed(8).await;
    assert_eq!(world.effects_of("a").await, [1]);
    let parked: Vec<(String, i64)> =
        world.parked().await.into_iter().map(|(_, key, offset, ..)| (key, offset)).collect();
    let keys = ["tombstone", "no envelope", "foreign", "", "", &long, "tombstone"];
    assert_eq!(parked, keys.into_iter().map(str::to_owned).zip(0..).collect::<Vec<_>>());
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_panics_every_time_does_not_hold_up_the_retries_of_others() {
    let world = World::new(1).await;
    let moods = Moods::default();
    moods.set("panics", Mood::Panic);
    moods.set("refused", Mood::Reject);
    let mut config = world.config();
    config.retry_tries_max = u32::MAX;
    let member = world.start_recorder_with(config, &moods);
    world.send(&letter("panics", 1)).await;
    world.send(&letter("refused", 1)).await;
    world.passed(2).await;
    moods.accept("refused");
    eventually(SOON, "the other is done", async || world.effects_of("refused").await == [1]).await;
    assert_eq!(world.parked().await.len(), 1);
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_was_not_there_does_the_retry() {
    let world = World::new(1).await;
    let moods = Moods::default();
    moods.set("bad", Mood::Reject);
    let mut config = world.config();
    config.retry_backoff = Duration::from_secs(3);
    let first = world.start_recorder_with(config, &moods);
    let events = world.send_many(&["bad"], 3).await;
    world.passed(3).await;
    first.stop().await;
    moods.accept("bad");
    let second = world.start_recorder(&moods);
    eventually(SOON, "the key is free", async || world.parked().await.is_empty()).await;
    world.each_once_in_order(&events).await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_members_that_retry_the_same_keys_do_each_letter_once_and_in_order() {
    let world = World::new(2).await;
    let moods = Moods::default();
    let keys = ["a", "b", "c", "d", "e", "f"];
    for key in keys {
        moods.set(key, Mood::Reject);
    }
    let mut config = world.config();
    config.retry_tries_max = u32::MAX;
    let members = [(); 3].map(|()| world.start_recorder_with(config.clone(), &moods));
    let events = world.send_many(&keys, 30).await;
    world.passed(events.len()).await;
    for key in keys {
        moods.accept(key);
    }
    eventually(SOON, "all keys are free", async || world.parked().await.is_empty()).await;
    world.each_once_in_order(&events).await;
    for member in members {
        member.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_stops_when_too_many_letters_are_parked_and_goes_on_when_there_is_room() {
    let world = World::new(1).await;
    let moods = Moods::default();
    moods.set("bad", Mood::Reject);
    let mut config = world.config();
    config.parked_letters_max = 5;
    config.retry_tries_max = u32::MAX;
    let member = world.start_recorder_with(config, &moods);
    let mut events = world.send_many(&["bad"], 8).await;
    events.extend(world.send_many(&["good"], 3).await);
    eventually(SOON, "as many are parked as may be", async || world.position().await == 5).await;
    assert_eq!(world.parked().await.len(), 5);
    assert_eq!(world.effects().await, 0);
    moods.accept("bad");
    world.passed(11).await;
    eventually(SOON, "the key is free", async || world.parked().await.is_empty()).await;
    world.each_once_in_order(&events).await;
    member.stop().await;
}
