//! The process is killed.

use testkit::eventually;

use crate::{
    recorder::Moods,
    world::{TAKEOVER, World},
};

const KEYS: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_is_killed_again_and_again_makes_each_effect_once() {
    let world = World::new(6).await;
    let mut events = world.send_many(&KEYS, 1500).await;
    for _ in 1..=5 {
        let before = world.effects().await;
        let mut member = world.spawn_recorder();
        eventually(TAKEOVER, "it makes effects", async || world.effects().await > before).await;
        member.kill().await.unwrap();
    }
    // the effects and the position are from the same moment, also right after a kill
    let (effects, position): (i64, i64) =
        sqlx::query_as("SELECT (SELECT count(*) FROM effect), (SELECT sum(next)::bigint FROM consumer_position)")
            .fetch_one(&world.database.owner)
            .await
            .unwrap();
    assert_eq!(effects, position);
    assert!(effects < 7 * 1500, "every kill must come in the middle of work, so send more letters");

    let last = world.start_recorder(&Moods::default());
    events.extend(world.send_many(&["late"], 10).await);
    world.passed(events.len()).await;
    world.each_once_in_order(&events).await;
    last.stop().await;
}
