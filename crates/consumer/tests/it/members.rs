//! Members come and go.

use testkit::eventually;

use crate::{
    recorder::Moods,
    world::{TAKEOVER, World},
};

const KEYS: [&str; 9] = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];

#[tokio::test(flavor = "multi_thread")]
async fn members_that_join_and_leave_make_each_effect_once_and_in_order() {
    let world = World::new(6).await;
    let moods = Moods::default();
    let first = world.start_recorder(&moods);
    let mut sent = Vec::new();
    for round in 0..3 {
        let second = world.start_recorder(&moods);
        for part in 0..5 {
            let mut events: Vec<_> = Vec::new();
            for sequence in 1..=20 {
                events.extend(KEYS.map(|key| crate::world::letter(key, 1000 * round + 100 * part + sequence)));
            }
            futures::future::join_all(events.iter().map(|event| world.send(event))).await;
            sent.extend(events);
        }
        let sent_so_far = i64::try_from(sent.len()).unwrap();
        eventually(TAKEOVER, "half of the letters are done", async || 2 * world.effects().await > sent_so_far).await;
        second.stop().await;
    }
    world.passed(sent.len()).await;
    world.each_once_in_order(&sent).await;
    first.stop().await;
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
