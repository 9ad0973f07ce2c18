//! Something is away.

use std::time::Duration;

use sqlx::{Connection, PgConnection};
use testkit::{SOON, eventually, own_kafka};

use crate::{
    recorder::{Mood, Moods},
    world::{TAKEOVER, World},
};

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_parks_nothing_and_stops_no_other_partition() {
    let world = World::new(6).await;
    let moods = Moods::default();
    moods.set("away", Mood::Retry);
    let mut config = world.config();
    // as if it took very long: anything that counts tries would have given up
    config.retry_tries_max = 1;
    // so few that those of the stopped partition would fill the buffer
    config.batch_events_max = 5;
    // so seldom that the others would hardly move in between
    config.outage_backoff_max = Duration::from_secs(3);
    let away = world.send_many(&["away"], 10).await;
    // of keys enough to be on all partitions
    let keys: Vec<String> = (0..40).map(|key| format!("key-{key}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let first = world.send_many(&keys, 5).await;
    let member = world.start_recorder_with(config, &moods);
    let elsewhere = "SELECT count(DISTINCT partition) FROM consumer_position WHERE next > 0";
    eventually(SOON, "the other partitions flow", async || world.number(elsewhere).await == 5).await;
    let effects = world.effects().await;
    let second = world.send_many(&keys, 15).await;
    eventually(SOON, "they go on flowing", async || world.effects().await > effects + 100).await;
    assert_eq!(world.effects_of("away").await, [0; 0]);
    assert!(world.parked().await.is_empty());

    moods.accept("away");
    world.passed(away.len() + first.len() + second.len()).await;
    assert_eq!(world.effects_of("away").await, (1..=10).collect::<Vec<_>>());
    assert_eq!(world.effects().await, 10 + 40 * 20);
    assert!(world.parked().await.is_empty());
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_the_database_ends_lose_nothing_and_repeat_nothing() {
    let world = World::new(6).await;
    let member = world.start_recorder(&Moods::default());
    let mut events = Vec::new();
    for round in 0..5 {
        events.extend(world.send_many(&["a", "b", "c", "d"], 200).await.into_iter().map(|mut event| {
            event.sequence += round;
            event
        }));
        // a role may end its own sessions
        let mut conn = PgConnection::connect(&world.database.app_url).await.unwrap();
        sqlx::query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()",
        )
        .execute(&mut conn)
        .await
        .unwrap();
    }
    world.passed(events.len()).await;
    assert_eq!(world.effects().await, 4000);
    assert_eq!(world.number("SELECT count(DISTINCT event_id) FROM effect").await, 4000);
    assert!(world.parked().await.is_empty());
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_goes_away_is_waited_for_and_a_member_ends_without_it() {
    let mut kafka = own_kafka(1).await;
    let world = World::with_kafka(kafka.kafka.clone(), 2).await;
    let first = world.send_many(&["a", "b"], 10).await;
    kafka.server.stop().await.unwrap();
    let early = world.start_recorder(&Moods::default());
    let member = world.start_recorder(&Moods::default());
    early.stop().await;

    kafka.server.start().await.unwrap();
    eventually(TAKEOVER, "letters from before are done", async || world.position().await == 20).await;
    kafka.server.stop().await.unwrap();
    kafka.server.start().await.unwrap();
    let second = world.send_many(&["c", "d"], 10).await;
    world.passed(40).await;
    world.each_once_in_order(&[first, second].concat()).await;
    member.stop().await;
}
