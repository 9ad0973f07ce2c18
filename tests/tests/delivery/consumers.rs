//! Consumers die at their bad moment, and are started again.

use futures::future::join_all;
use testkit::{TestDatabase, TestKafka, eventually};

use crate::{
    cluster::{BROKERS, Cluster, letters, producer, send},
    count::{self, Row},
    member,
};

/// As many as the process reads.
const LETTERS: usize = 10;

pub async fn play(cluster: &Cluster) -> Vec<Row> {
    let (most, least, before, after) = tokio::join!(
        two_steps(cluster, "at most once: position, then effect", "at-most-once"),
        two_steps(cluster, "at least once: effect, then position", "at-least-once"),
        one_step(cluster, "before the commit", "between"),
        one_step(cluster, "after the commit, before Kafka hears of it", "after-commit"),
    );
    vec![most, least, before, after]
}

/// A consumer that does one thing, and then the other.
async fn two_steps(cluster: &Cluster, who: &'static str, role: &str) -> Row {
    let (kafka, database) = (with_letters(cluster, role).await, with_effects().await);
    member::kill_at("between", role, &kafka, &database.app_url).await;
    member::run(role, &kafka, &database.app_url).await;
    count::done(who, "between the two", &letters(LETTERS), &effects(&database).await)
}

/// The consumer of Postbox.
async fn one_step(cluster: &Cluster, moment: &'static str, stop: &str) -> Row {
    let (kafka, database) = (with_letters(cluster, stop).await, with_effects().await);
    member::kill_at(stop, "effectively-once", &kafka, &database.app_url).await;
    let mut next = member::spawn("effectively-once", &[], &kafka, &database.app_url);
    eventually(BROKERS, "the group is past all letters", async || {
        let position = "SELECT coalesce(sum(next), 0)::bigint FROM consumer_position";
        let position: i64 = sqlx::query_scalar(position).fetch_one(&database.owner).await.expect("it has its tables");
        usize::try_from(position).is_ok_and(|position| position == LETTERS)
    })
    .await;
    next.kill().await.expect("it can be killed");
    let who = "effectively once: both in one transaction";
    count::done(who, moment, &letters(LETTERS), &effects(&database).await)
}

/// A topic with the letters on it.
async fn with_letters(cluster: &Cluster, namespace: &str) -> TestKafka {
    let kafka = cluster.namespace(namespace).await;
    let producer = producer(&kafka.bootstrap, &[("enable.idempotence", "true")]);
    let sent = join_all(letters(LETTERS).iter().map(|letter| send(&producer, &kafka, letter))).await;
    assert!(sent.into_iter().all(|is_acknowledged| is_acknowledged));
    kafka
}

/// A database where effects can be made: rows that nothing keeps from being there twice.
async fn with_effects() -> TestDatabase {
    let database = testkit::database("delivery", &[&consumer::MIGRATOR, &operator_log::MIGRATOR]).await;
    let effect = "CREATE TABLE effect (letter TEXT NOT NULL)";
    sqlx::raw_sql(effect).execute(&database.owner).await.expect("the owner makes tables");
    database
}

async fn effects(database: &TestDatabase) -> Vec<String> {
    sqlx::query_scalar("SELECT letter FROM effect").fetch_all(&database.owner).await.expect("it was made")
}
