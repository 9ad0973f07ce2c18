//! One partition for each day.

use testkit::{SOON, eventually};

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_makes_partitions_ahead_although_its_login_may_not() {
    let world = World::new().await;
    let made_by_the_login =
        sqlx::query("SELECT outbox_add_partition(current_date + 40)").execute(&world.database.app).await;
    assert!(made_by_the_login.unwrap_err().to_string().contains("permission denied"));

    let tomorrow = day(&world, 1).await;
    drop_table(&world, &tomorrow).await;
    let relay = world.start_relay();
    eventually(SOON, "tomorrow's partition is made", async || exists(&world, &tomorrow).await).await;
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_is_dropped_when_it_is_old_and_wholly_published() {
    let world = World::new().await;
    let (old, kept) = (day(&world, -40).await, day(&world, -20).await);
    for days in [-40, -20] {
        sqlx::query("SELECT outbox_add_partition(current_date + $1)")
            .bind(days)
            .execute(&world.database.owner)
            .await
            .unwrap();
    }
    let event = world.write("an-order").await;
    sqlx::query("UPDATE outbox SET inserted_at = inserted_at - interval '40 days'")
        .execute(&world.database.owner)
        .await
        .unwrap();
    // by hand what the leader does, so that nothing is published
    maintain(&world).await;
    assert!(exists(&world, &old).await, "its letter waits to be published");

    let relay = world.start_relay();
    eventually(SOON, "the letter is published", async || world.floor().await == 1).await;
    relay.stop().await;
    maintain(&world).await;
    assert!(!exists(&world, &old).await);
    assert!(exists(&world, &kept).await);
    assert_eq!(world.letters().await, []);
    assert_eq!(world.write("an-order").await.sequence, event.sequence + 1);
}

#[tokio::test]
async fn a_letter_without_its_days_partition_is_kept_in_the_safety_net() {
    let world = World::new().await;
    let today = day(&world, 0).await;
    drop_table(&world, &today).await;
    world.write("an-order").await;
    maintain(&world).await;
    assert!(!exists(&world, &today).await, "the day stays in the safety net");
    assert_eq!(world.letters().await, [("an-order".to_owned(), 1)]);
    let relay = world.start_relay();
    world.everything_arrives_in_order().await;
    relay.stop().await;
}

/// The name of the partition of the day so many days from today.
async fn day(world: &World, days: i32) -> String {
    sqlx::query_scalar("SELECT 'outbox_' || to_char((now() AT TIME ZONE 'UTC')::date + $1, 'YYYYMMDD')")
        .bind(days)
        .fetch_one(&world.database.app)
        .await
        .unwrap()
}

async fn exists(world: &World, table: &str) -> bool {
    sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(table).fetch_one(&world.database.app).await.unwrap()
}

async fn drop_table(world: &World, table: &str) {
    let sql = format!("DROP TABLE {table}");
    sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&world.database.owner).await.unwrap();
}

async fn maintain(world: &World) {
    sqlx::query("SELECT outbox_maintain_partitions(3, 30)").execute(&world.database.app).await.unwrap();
}
