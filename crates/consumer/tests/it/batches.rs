//! What one letter does to the others of its batch.

use std::sync::Arc;

use contracts::topics::ORDERS;
use tokio::sync::Notify;

use crate::{
    recorder::{Mood, Moods, Recorder},
    world::{Member, TAKEOVER, World, letter},
};

#[tokio::test(flavor = "multi_thread")]
async fn of_a_batch_with_a_letter_that_fails_the_others_are_done_once() {
    for mood in [Mood::Reject, Mood::Panic, Mood::Swallow] {
        let world = World::new(3).await;
        let moods = Moods::default();
        moods.set("bad", mood);
        let good = world.send_many(&["a", "b"], 30).await;
        world.send(&letter("bad", 1)).await;
        let more = world.send_many(&["c", "d"], 30).await;
        let member = world.start_recorder(&moods);
        world.passed(good.len() + more.len() + 1).await;
        world.each_once_in_order(&[good, more].concat()).await;
        assert_eq!(world.effects_of("bad").await, [0; 0]);
        member.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn types_that_a_handler_does_not_want_are_passed_by() {
    let world = World::new(1).await;
    let member = world.start_recorder(&Moods::default());
    let mut unwanted = letter("a", 1);
    unwanted.event_type = "test.unwanted".to_owned();
    world.send(&unwanted).await;
    world.send(&letter("a", 2)).await;
    world.passed(2).await;
    assert_eq!(world.effects_of("a").await, [2]);
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_works_on_what_handlers_wrote_is_woken_once_it_can_be_seen() {
    let world = World::new(1).await;
    let woken = Arc::new(Notify::new());
    let service = world.service(world.config()).on(ORDERS, Recorder(Moods::default())).after_commit({
        let woken = woken.clone();
        move || woken.notify_one()
    });
    let member = Member::start(service);
    world.send(&letter("a", 1)).await;
    tokio::time::timeout(TAKEOVER, woken.notified()).await.expect("woken after the commit");
    assert_eq!(world.effects_of("a").await, [1]);
    member.stop().await;
}
