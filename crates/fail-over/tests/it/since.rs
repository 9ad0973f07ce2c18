//! What `--since` bounds.

use jiff::{SignedDuration, Timestamp};
use service_runtime::clock::Clock;
use sqlx::AssertSqlSafe;

use crate::world::{Lying, PARTITIONS, World, letter};

fn ago(hours: i64) -> Timestamp {
    Clock::System.now() - SignedDuration::from_hours(hours)
}

/// A partition with a letter of each of the last hours, the oldest first: at offset 0 that of ten hours ago.
async fn copied(world: &World) {
    let lying = |hours| {
        let put_at_ms = ago(hours).as_millisecond();
        Lying { partition: 0, offset: 10 - hours, put_at_ms, event: letter("a", 11 - hours) }
    };
    let letters: Vec<Lying> = (1..=10).rev().map(lying).collect();
    world.copy(&letters).await;
}

async fn groups_at(world: &World, next: i64) {
    for partition in 0..PARTITIONS {
        let row = format!(
            "INSERT INTO consumer_position VALUES ('test.record', '{}', {partition}, {next})",
            contracts::topics::ORDERS.name()
        );
        sqlx::query(AssertSqlSafe(row)).execute(&world.database.owner).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_since_then_are_given_again_and_published_again_and_no_older_ones() {
    let world = World::new().await;
    copied(&world).await;
    groups_at(&world, 1_000).await;
    world.write(&["a"], 1..=10).await;
    let times = "UPDATE outbox SET inserted_at = now() - make_interval(hours => 11 - sequence::integer);
                 UPDATE outbox_progress SET floor = 8, published = '{[10,11)}'";
    sqlx::raw_sql(times).execute(&world.database.owner).await.unwrap();

    // between the letters of four and of three hours ago; the other partitions are empty, and their end is their beginning
    world.fail_over(Some(ago(4) + SignedDuration::from_mins(30))).await.unwrap();
    assert_eq!(world.state().await, (7, vec![7, 0, 0]));
    assert_eq!(world.number("SELECT count(*) FROM outbox_progress WHERE published = '{}'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_moved_forward() {
    let world = World::new().await;
    copied(&world).await;
    groups_at(&world, 2).await;
    world.write(&["a"], 1..=10).await;
    let progress = "UPDATE outbox_progress SET floor = 3, published = '{[5,7)}'";
    sqlx::raw_sql(progress).execute(&world.database.owner).await.unwrap();

    world.fail_over(Some(Clock::System.now())).await.unwrap();
    assert_eq!(world.state().await, (3, vec![2, 0, 0]));
}
