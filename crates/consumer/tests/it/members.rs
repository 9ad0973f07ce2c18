//! Members come and go.

use std::time::Duration;

use contracts::event::Event;
use futures::future::join_all;
use testkit::{SOON, eventually};

use crate::{
    recorder::{IN_A_HANDLER, Mood, Moods},
    world::{TAKEOVER, World, letter},
};

const KEYS: [&str; 9] = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];

#[tokio::test(flavor = "multi_thread")]
async fn members_that_join_and_leave_make_each_effect_once_and_in_order() {
    let world = World::new(6).await;
    let moods = Moods::default();
    let first = world.start_recorder(&moods);
    let mut sent = Vec::new();
    for _ in 0..3 {
        let second = world.start_recorder(&moods);
        send_until_members_are(&world, 2, &mut sent).await;
        second.stop().await;
        send_until_members_are(&world, 1, &mut sent).await;
    }
    world.passed(sent.len()).await;
    world.each_once_in_order(&sent).await;
    first.stop().await;
}

/// Sends letters without pause until the group has so many members and they have agreed on who takes what.
async fn send_until_members_are(world: &World, members: usize, sent: &mut Vec<Event>) {
    let sending = async {
        while !world.is_settled(members).await {
            let sequence = i64::try_from(sent.len() / KEYS.len()).unwrap();
            let events: Vec<Event> = (1..=3).flat_map(|next| KEYS.map(|key| letter(key, sequence + next))).collect();
            futures::future::join_all(events.iter().map(|event| world.send(event))).await;
            sent.extend(events);
        }
    };
    tokio::time::timeout(TAKEOVER, sending).await.expect("the group settles");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_leaves_in_order_is_followed_at_once() {
    let world = World::new(1).await;
    let moods = Moods::default();
    let first = world.start_recorder(&moods);
    let mut events = world.send_many(&["a"], 10).await;
    world.passed(events.len()).await;
    let second = world.start_recorder(&moods);
    first.stop().await;
    let since = tokio::time::Instant::now();
    events.extend(world.send_many(&["a"], 10).await);
    world.passed(events.len()).await;
    // less than the 6 s after which a member is missed that says nothing
    assert!(since.elapsed().as_secs() < 5, "it took {:?}", since.elapsed());
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_handed_over_while_a_transaction_hangs_and_each_effect_is_made_once() {
    let world = World::new(2).await;
    let moods = Moods::default();
    let mut config = world.config();
    config.handover_deadline = Duration::from_millis(200);
    let first = world.start_recorder_with(config, &moods);
    let mut events = world.send_many(&KEYS, 5).await;
    world.passed(events.len()).await;

    // which letters come together is chance, and only in a batch that holds both partitions does either of them hang
    for sequence in 6.. {
        for key in KEYS {
            moods.set(key, Mood::Hang);
        }
        let round: Vec<Event> = KEYS.iter().map(|key| letter(key, sequence)).collect();
        join_all(round.iter().map(|event| world.send(event))).await;
        events.extend(round);
        eventually(SOON, "a batch hangs", async || world.sessions(IN_A_HANDLER).await > 0).await;
        if world.positions_held().await == 2 {
            break;
        }
        for key in KEYS {
            moods.accept(key);
        }
        world.passed(events.len()).await;
    }
    let second = world.start_recorder(&moods);
    // whoever comes later waits for the lock of a position that the first still holds
    eventually(TAKEOVER, "the second is fenced off", async || world.sessions("wait_event_type = 'Lock'").await > 0)
        .await;
    for key in KEYS {
        moods.accept(key);
    }
    world.passed(events.len()).await;
    world.each_once_in_order(&events).await;
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_is_dropped_in_a_transaction_ends_it_and_leaves_its_partitions_to_others() {
    let world = World::new(1).await;
    let moods = Moods::default();
    moods.set("a", Mood::Hang);
    let first = world.start_recorder(&moods);
    let mut events = world.send_many(&["a"], 1).await;
    eventually(SOON, "a batch hangs", async || world.sessions(IN_A_HANDLER).await > 0).await;
    first.drop_at_once().await;
    moods.accept("a");
    world.passed(1).await;
    eventually(SOON, "no transaction is left open", async || world.sessions("state LIKE 'idle in %'").await == 0).await;

    let second = world.start_recorder(&moods);
    events.extend(world.send_many(&["b"], 5).await);
    world.passed(events.len()).await;
    world.each_once_in_order(&events).await;
    second.stop().await;
}
