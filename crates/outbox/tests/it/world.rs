//! What every test needs: a database with an outbox and some aggregates, a topic, writers, and relays.

use std::{env, path::PathBuf, process::Stdio, time::Duration};

use contracts::{event::Event, topics::ORDERS};
use outbox::{Relay, RelayConfig, Waker, append_in_tx};
use rand::RngExt;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use testkit::{TestDatabase, TestKafka, eventually};
use tokio::{process::Child, task::JoinHandle, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::received::Received;

/// Long enough for the server to end a silent session, and for another relay to notice.
pub const TAKEOVER: Duration = Duration::from_secs(30);

pub struct World {
    pub database: TestDatabase,
    pub kafka: TestKafka,
    /// The name of [`ORDERS`] on the wire.
    pub topic: String,
}

impl World {
    /// A world on the servers that the run shares.
    pub async fn new() -> Self {
        Self::with_kafka(testkit::kafka()).await
    }

    /// A world with a Kafka of its own, and a database on the shared server.
    pub async fn with_kafka(kafka: TestKafka) -> Self {
        let database = testkit::database("outbox", &[&outbox::MIGRATOR]).await;
        sqlx::query("CREATE TABLE aggregate (key text PRIMARY KEY, version bigint NOT NULL)")
            .execute(&database.owner)
            .await
            .unwrap();
        let topic = kafka.create_topic(ORDERS.name(), 6).await;
        Self { database, kafka, topic }
    }

    pub fn relay_config(&self) -> RelayConfig {
        RelayConfig {
            database_url: self.database.app_url.clone().into(),
            kafka_bootstrap_servers: self.kafka.bootstrap.clone(),
            kafka_namespace: self.kafka.namespace.clone(),
            retention_days: RelayConfig::RETENTION_DAYS,
        }
    }

    /// Starts a relay in this process.
    pub fn start_relay(&self) -> RunningRelay {
        RunningRelay::start(self.relay_config())
    }

    /// Starts a relay in a process of its own, which dies with the handle.
    pub fn spawn_relay(&self) -> Child {
        let program = example("relay");
        tokio::process::Command::new(&program)
            .env("DATABASE_URL", &self.database.app_url)
            .env("KAFKA_BOOTSTRAP_SERVERS", &self.kafka.bootstrap)
            .env("KAFKA_NAMESPACE", &self.kafka.namespace)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{}: {error}; make it with `cargo build -p outbox --example relay`", program.display())
            })
    }

    /// Changes an aggregate and commits its letter.
    pub async fn write(&self, key: &str) -> Event {
        let mut tx = self.database.app.begin().await.unwrap();
        let event = change_in_tx(&mut tx, key).await;
        tx.commit().await.unwrap();
        event
    }

    /// Starts writers that change random ones of a few aggregates, often the same, with rollbacks and slow commits.
    pub fn start_writers(&self, writers: usize) -> Writers {
        let enough = CancellationToken::new();
        let writing = (0..writers)
            .map(|_| {
                let (pool, enough) = (self.database.app.clone(), enough.clone());
                async move {
                    while !enough.is_cancelled() {
                        write_at_random(&pool).await;
                    }
                }
            })
            .collect();
        Writers { enough, writing, pool: self.database.app.clone() }
    }

    /// Reads the topic until every letter of the outbox is there, and checks what was promised about them.
    pub async fn everything_arrives_in_order(&self) -> Received {
        let expected = self.letters().await;
        let mut received = Received::from_start(&self.kafka.bootstrap, &self.topic);
        received.until("every letter arrived", |received| received.distinct() >= expected.len()).await;
        received.assert_complete(&expected);
        received.assert_in_order();
        received
    }

    /// The letters in the outbox, by id.
    pub async fn letters(&self) -> Vec<(String, i64)> {
        sqlx::query_as("SELECT key, sequence FROM outbox ORDER BY id").fetch_all(&self.database.app).await.unwrap()
    }

    /// How many ids are done with: published, or passed.
    pub async fn done(&self) -> i64 {
        sqlx::query_scalar(
            "SELECT floor + (SELECT coalesce(sum(upper(range) - lower(range)), 0) FROM unnest(published) AS range)::bigint
             FROM outbox_progress",
        )
        .fetch_one(&self.database.app)
        .await
        .unwrap()
    }

    pub async fn floor(&self) -> i64 {
        sqlx::query_scalar("SELECT floor FROM outbox_progress").fetch_one(&self.database.app).await.unwrap()
    }

    /// True when `id` is marked as published.
    pub async fn is_marked(&self, id: i64) -> bool {
        sqlx::query_scalar("SELECT floor >= $1 OR published @> $1 FROM outbox_progress")
            .bind(id)
            .fetch_one(&self.database.app)
            .await
            .unwrap()
    }

    /// How many leaders there have been.
    pub async fn epoch(&self) -> i64 {
        sqlx::query_scalar("SELECT epoch FROM outbox_progress").fetch_one(&self.database.app).await.unwrap()
    }

    /// Sets the limit of all transactions that the serving role begins from now on.
    pub async fn set_transaction_timeout(&self, limit: &'static str) {
        let sql = format!("ALTER ROLE CURRENT_USER SET transaction_timeout = '{limit}'");
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&self.database.app).await.unwrap();
    }
}

pub struct RunningRelay {
    pub waker: Waker,
    cancel: CancellationToken,
    running: JoinHandle<()>,
}

impl RunningRelay {
    pub fn start(config: RelayConfig) -> Self {
        let relay = Relay::new(config).unwrap();
        let cancel = CancellationToken::new();
        Self { waker: relay.waker(), cancel: cancel.clone(), running: tokio::spawn(relay.run(cancel)) }
    }

    pub fn is_running(&self) -> bool {
        !self.running.is_finished()
    }

    /// Stops it as a service does.
    pub async fn stop(self) {
        self.cancel.cancel();
        self.running.await.unwrap();
    }
}

/// Writers at work.
pub struct Writers {
    enough: CancellationToken,
    writing: JoinSet<()>,
    pool: PgPool,
}

impl Writers {
    /// Lets them write so many letters more.
    pub async fn write_more(&self, letters: i64) {
        let last = async || sqlx::query_scalar("SELECT max(id) FROM outbox").fetch_one(&self.pool).await.unwrap();
        let before: Option<i64> = last().await;
        let until = before.unwrap_or(0) + letters;
        eventually(TAKEOVER, "more is written", async || last().await >= Some(until)).await;
    }

    /// Lets each finish its transaction.
    pub async fn stop(self) {
        self.enough.cancel();
        self.writing.join_all().await;
    }
}

/// Changes an aggregate, which locks its row, and writes the letter; the caller commits.
pub async fn change_in_tx(tx: &mut Transaction<'_, Postgres>, key: &str) -> Event {
    let version = sqlx::query_scalar(
        "INSERT INTO aggregate VALUES ($1, 1) ON CONFLICT (key) DO UPDATE SET version = aggregate.version + 1
         RETURNING version",
    )
    .bind(key)
    .fetch_one(&mut **tx)
    .await
    .unwrap();
    let event = letter(key, version);
    append_in_tx(tx, ORDERS, &event).await.unwrap();
    event
}

/// A letter that looks like one of an order.
pub fn letter(key: &str, sequence: i64) -> Event {
    Event {
        id: uuid::Uuid::now_v7(),
        event_type: "order.completed".to_owned(),
        source: ORDERS.source().to_owned(),
        subject: key.to_owned(),
        time: "2026-11-21T09:00:00.123456Z".parse().unwrap(),
        sequence,
        traceparent: None,
        payload: vec![7; 300],
    }
}

/// The id of a letter.
pub async fn id_of(conn: &mut PgConnection, event: &Event) -> i64 {
    sqlx::query_scalar("SELECT id FROM outbox WHERE event_id = $1").bind(event.id).fetch_one(conn).await.unwrap()
}

async fn write_at_random(pool: &PgPool) {
    let (first, count, slow, roll_back) = {
        let mut random = rand::rng();
        (random.random_range(0..20), random.random_range(1..=3), random.random_ratio(1, 4), random.random_ratio(1, 5))
    };
    let mut tx = pool.begin().await.unwrap();
    // in the order of the keys, so that the writers do not deadlock
    for key in first..first + count {
        change_in_tx(&mut tx, &format!("order-{key:02}")).await;
    }
    if slow {
        // later ids of other writers are committed and published meanwhile
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    if roll_back {
        tx.rollback().await.unwrap();
    } else {
        tx.commit().await.unwrap();
    }
}

/// Where cargo puts an example, seen from a test.
fn example(name: &str) -> PathBuf {
    let test = env::current_exe().unwrap();
    let target = test.parent().and_then(|deps| deps.parent()).expect("tests are in target/<profile>/deps");
    target.join("examples").join(name)
}
