//! Waiting until nothing is under way any more: every order is decided, every letter has arrived, every effect is there.

use std::time::Duration;

use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer},
};
use sqlx::PgPool;
use testkit::TestKafka;
use tokio::time::{Instant, sleep};

use super::world::World;
use crate::undecided;

const POLL: Duration = Duration::from_millis(200);

/// How long one broker may take to answer.
const BROKER: Duration = Duration::from_secs(5);

/// Every order is decided so soon after the last was placed.
const DECIDED_WITHIN: Duration = Duration::from_secs(30);

/// And all else has happened so soon after that: a message whose sender had died is anybody's again after 40 s.
const QUIET_WITHIN: Duration = Duration::from_mins(1);

/// What is under way in a service's own tables: a database, what to call it, and how to count it.
const UNDER_WAY: [(&str, &str, &str); 3] = [
    ("payments", "charges wait", "SELECT count(*) FROM charge_work"),
    ("shipping", "parcels wait for an address", "SELECT count(*) FROM address_question WHERE attempt_at IS NOT NULL"),
    ("notifications", "messages wait", "SELECT count(*) FROM message WHERE state = 'DUE'"),
];

const UNPUBLISHED: &str = "SELECT count(*) FROM outbox, outbox_progress WHERE id > floor AND NOT published @> id";

/// Waits until all is at rest. Fails with what was still under way at its deadline.
pub async fn at_rest(world: &World) -> Result<(), String> {
    until_nothing_is_left(DECIDED_WITHIN, async || {
        let undecided = undecided::orders(&world.platform).await;
        undecided.first().map(|first| format!("{} orders are not decided, like {first},", undecided.len()))
    })
    .await?;
    until_nothing_is_left(QUIET_WITHIN, async || under_way(world).await).await
}

async fn until_nothing_is_left(
    deadline: Duration,
    mut left: impl AsyncFnMut() -> Option<String>,
) -> Result<(), String> {
    let began = Instant::now();
    while let Some(what) = left().await {
        if began.elapsed() > deadline {
            return Err(format!("{what} after {} s of rest", deadline.as_secs()));
        }
        sleep(POLL).await;
    }
    Ok(())
}

/// The first thing that is still under way, apart from orders.
async fn under_way(world: &World) -> Option<String> {
    for (database, what, query) in UNDER_WAY {
        let count = count(world.platform.database(database), query).await;
        if count > 0 {
            return Some(format!("{count} {what}"));
        }
    }
    for database in world.platform.database_urls().keys() {
        let pool = world.platform.database(database);
        if has_table(pool, "outbox").await {
            let unpublished = count(pool, UNPUBLISHED).await;
            if unpublished > 0 {
                return Some(format!("{unpublished} letters of {database} are not published"));
            }
        }
        if has_table(pool, "consumer_parked").await {
            let parked = count(pool, "SELECT count(*) FROM consumer_parked WHERE state = 'parked'").await;
            let behind = behind(&world.kafka.kafka, pool).await;
            if parked + behind > 0 {
                return Some(format!("{} letters had no effect in {database} yet", parked + behind));
            }
        }
    }
    None
}

/// How many letters of orders are published.
pub async fn published(world: &World) -> i64 {
    let query = "SELECT count(*) FROM outbox, outbox_progress WHERE id <= floor OR published @> id";
    count(world.platform.database("orders"), query).await
}

/// How many letters of orders are not published, of those up to this one.
pub async fn unpublished_up_to(world: &World, newest: i64) -> i64 {
    let query = "SELECT count(*) FROM outbox, outbox_progress WHERE id > floor AND NOT published @> id AND id <= $1";
    let counting = sqlx::query_scalar(query).bind(newest).fetch_one(world.platform.database("orders"));
    counting.await.expect("order has its outbox")
}

/// The newest letter of orders.
pub async fn newest_letter(world: &World) -> i64 {
    count(world.platform.database("orders"), "SELECT coalesce(max(id), 0) FROM outbox").await
}

/// How many letters lie behind the positions in this database.
async fn behind(kafka: &TestKafka, pool: &PgPool) -> i64 {
    let positions: Vec<(String, i32, i64)> = sqlx::query_as("SELECT topic, partition, next FROM consumer_position")
        .fetch_all(pool)
        .await
        .expect("the consumer's table is there");
    let kafka = kafka.clone();
    let counting = tokio::task::spawn_blocking(move || {
        let client: BaseConsumer =
            ClientConfig::new().set("bootstrap.servers", &kafka.bootstrap).create().expect("the settings are right");
        let behind = positions.iter().map(|(topic, partition, next)| {
            let end = client.fetch_watermarks(&kafka.topic(topic), *partition, BROKER).map_or(i64::MAX, |(_, end)| end);
            end.saturating_sub(*next).max(0)
        });
        behind.fold(0, i64::saturating_add)
    });
    counting.await.expect("asking does not panic")
}

async fn has_table(pool: &PgPool, table: &str) -> bool {
    sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(table).fetch_one(pool).await.expect("it is asked")
}

async fn count(pool: &PgPool, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(pool).await.unwrap_or_else(|error| panic!("{query}: {error}"))
}
