//! What every test needs: a database with the consumer's tables, a topic, letters, and members.

use std::{env, path::PathBuf, process::Stdio, time::Duration};

use consumer::{ConsumerConfig, ConsumerService};
use contracts::{event::Event, topics::ORDERS};
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer},
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use sqlx::{AssertSqlSafe, PgPool};
use testkit::{TestDatabase, TestKafka, eventually};
use tokio::{process::Child, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::recorder::{Moods, Recorder};

/// Long enough for a member that was killed to be missed (6 s), and for the partitions to be taken over.
pub const TAKEOVER: Duration = Duration::from_secs(40);

pub const GROUP: &str = "test.recorder";

pub struct World {
    pub database: TestDatabase,
    pub kafka: TestKafka,
    /// The name of [`ORDERS`] on the wire.
    pub topic: String,
    producer: FutureProducer,
}

impl World {
    /// A world on the servers that the run shares, with a topic of so many partitions.
    pub async fn new(partitions: i32) -> Self {
        Self::with_kafka(testkit::kafka(), partitions).await
    }

    pub async fn with_kafka(kafka: TestKafka, partitions: i32) -> Self {
        // RUST_LOG=consumer=debug shows what members do; only the first test of the process can set it
        let _ = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
            .with_test_writer()
            .try_init();
        let database = testkit::database("consumer", &[&consumer::MIGRATOR, &operator_log::MIGRATOR]).await;
        sqlx::query(
            "CREATE TABLE effect (
                id bigint GENERATED ALWAYS AS IDENTITY,
                event_id uuid NOT NULL,
                key text NOT NULL,
                sequence bigint NOT NULL)",
        )
        .execute(&database.owner)
        .await
        .unwrap();
        let topic = kafka.create_topic(ORDERS.name(), partitions).await;
        let producer = ClientConfig::new()
            .set("bootstrap.servers", &kafka.bootstrap)
            .set("partitioner", "murmur2_random")
            .set("enable.idempotence", "true")
            .create()
            .unwrap();
        Self { database, kafka, topic, producer }
    }

    /// Limits as usual, and waits for impatient tests: five retries within half a second.
    pub fn config(&self) -> ConsumerConfig {
        let mut config = ConsumerConfig::new(&self.kafka.bootstrap, &self.kafka.namespace, "test");
        config.retry_backoff = Duration::from_millis(10);
        config.retry_poll_interval = Duration::from_millis(20);
        config.outage_backoff_max = Duration::from_millis(100);
        config
    }

    /// Starts a member that records what `moods` lets it.
    pub fn start_recorder(&self, moods: &Moods) -> Member {
        self.start_recorder_with(self.config(), moods)
    }

    pub fn start_recorder_with(&self, config: ConsumerConfig, moods: &Moods) -> Member {
        Member::start(self.service(config).on(ORDERS, Recorder(moods.clone())))
    }

    pub fn service(&self, config: ConsumerConfig) -> ConsumerService {
        ConsumerService::new(config, self.database.app.clone())
    }

    /// Starts a recorder in a process of its own, which dies with the handle.
    pub fn spawn_recorder(&self) -> Child {
        self.spawn_recorder_with(&[])
    }

    /// As [`Self::spawn_recorder`], with these variables.
    pub fn spawn_recorder_with(&self, settings: &[(&str, &str)]) -> Child {
        let program = example("member");
        tokio::process::Command::new(&program)
            .envs(settings.iter().copied())
            .env("DATABASE_URL", &self.database.app_url)
            .env("KAFKA_BOOTSTRAP_SERVERS", &self.kafka.bootstrap)
            .env("KAFKA_NAMESPACE", &self.kafka.namespace)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()))
    }

    /// Sends a letter; it is in Kafka on return.
    pub async fn send(&self, event: &Event) {
        self.send_raw(Some(event.subject.as_bytes()), &event.to_headers(), Some(&event.payload)).await;
    }

    /// Sends the letters `1..=letters` of each key, all on their way at once; they are in Kafka on return.
    pub async fn send_many(&self, keys: &[&str], letters: i64) -> Vec<Event> {
        let events: Vec<Event> =
            (1..=letters).flat_map(|sequence| keys.iter().map(move |key| letter(key, sequence))).collect();
        futures::future::join_all(events.iter().map(|event| self.send(event))).await;
        events
    }

    /// Sends anything.
    pub async fn send_raw(&self, key: Option<&[u8]>, headers: &[(&str, String)], payload: Option<&[u8]>) {
        let headers = headers
            .iter()
            .fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(value) }));
        let mut record = FutureRecord::<[u8], [u8]>::to(&self.topic).headers(headers);
        if let Some(key) = key {
            record = record.key(key);
        }
        if let Some(payload) = payload {
            record = record.payload(payload);
        }
        self.producer.send(record, Duration::from_secs(10)).await.unwrap();
    }

    /// The sequence numbers of a key's effects, in the order in which they were made.
    pub async fn effects_of(&self, key: &str) -> Vec<i64> {
        sqlx::query_scalar("SELECT sequence FROM effect WHERE key = $1 ORDER BY id")
            .bind(key)
            .fetch_all(&self.database.owner)
            .await
            .unwrap()
    }

    pub async fn effects(&self) -> i64 {
        self.number("SELECT count(*) FROM effect").await
    }

    /// The sum of the group's positions: how many letters it has passed, when offsets start at 0.
    pub async fn position(&self) -> i64 {
        self.number("SELECT coalesce(sum(next), 0)::bigint FROM consumer_position").await
    }

    /// `(id, key, offset, retry_count, state)` of what is parked, in the order of the ids.
    pub async fn parked(&self) -> Vec<(i64, String, i64, i32, String)> {
        sqlx::query_as(
            r#"SELECT id, coalesce(encode(key, 'escape'), ''), "offset", retry_count, state
               FROM consumer_parked ORDER BY id"#,
        )
        .fetch_all(&self.database.owner)
        .await
        .unwrap()
    }

    /// What operators have done, oldest first: who, what, on which object, and what is told of it.
    pub async fn noted(&self) -> Vec<(String, String, String, serde_json::Value)> {
        sqlx::query_as("SELECT operator, action, object, detail FROM operator_log ORDER BY id")
            .fetch_all(&self.database.owner)
            .await
            .unwrap()
    }

    pub async fn number(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&self.database.owner).await.unwrap()
    }

    /// How many sessions of the serving role are as `condition` says. Only the role itself may see that.
    pub async fn sessions(&self, condition: &str) -> i64 {
        let query = format!(
            "SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND usename = current_user AND {condition}"
        );
        sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(self.pool()).await.unwrap()
    }

    /// How many of the group's positions a transaction holds that is not at its end.
    pub async fn positions_held(&self) -> i64 {
        self.number(
            "SELECT (SELECT count(*) FROM consumer_position)
                  - (SELECT count(*) FROM (SELECT FROM consumer_position FOR UPDATE SKIP LOCKED) AS free)",
        )
        .await
    }

    /// Waits until the group has passed so many letters.
    pub async fn passed(&self, letters: usize) {
        let letters = i64::try_from(letters).unwrap();
        eventually(TAKEOVER, "the group has passed all letters", async || self.position().await == letters).await;
    }

    /// Each letter has one effect, and those of a key are in their order.
    pub async fn each_once_in_order(&self, events: &[Event]) {
        assert_eq!(self.number("SELECT count(*) FROM effect").await, i64::try_from(events.len()).unwrap(), "effects");
        assert_eq!(
            self.number("SELECT count(*) FROM (SELECT FROM effect GROUP BY event_id HAVING count(*) > 1) AS twice")
                .await,
            0,
            "letters with two effects"
        );
        let inversions = "SELECT count(*) FROM (
            SELECT sequence < lag(sequence) OVER (PARTITION BY key ORDER BY id) AS is_inversion FROM effect) AS pairs
            WHERE is_inversion";
        assert_eq!(self.number(inversions).await, 0, "effects out of order");
    }

    /// Whether the group has so many members, each with partitions, and is not in the middle of a rebalance.
    pub async fn is_settled(&self, members: usize) -> bool {
        let (bootstrap, group) = (self.kafka.bootstrap.clone(), self.kafka.topic(GROUP));
        let asking = tokio::task::spawn_blocking(move || {
            let tool: BaseConsumer = ClientConfig::new().set("bootstrap.servers", &bootstrap).create().unwrap();
            let list = tool.fetch_group_list(Some(&group), Duration::from_secs(5)).unwrap();
            let group = list.groups().first()?;
            // an assignment without partitions: version, no topics, no user data
            let empty_bytes = 2 + 4 + 4;
            let all_have_some = group.members().iter().all(|m| m.assignment().is_some_and(|a| a.len() > empty_bytes));
            Some(group.state() == "Stable" && group.members().len() == members && all_have_some)
        });
        asking.await.unwrap().unwrap_or(false)
    }

    pub fn pool(&self) -> &PgPool {
        &self.database.app
    }
}

/// A member in this process.
pub struct Member {
    cancel: CancellationToken,
    running: JoinHandle<()>,
}

impl Member {
    pub fn start(service: ConsumerService) -> Self {
        let cancel = CancellationToken::new();
        Self { running: tokio::spawn(service.run(cancel.clone())), cancel }
    }

    /// Drops it in the middle of whatever it does.
    pub async fn drop_at_once(self) {
        self.running.abort();
        assert!(self.running.await.unwrap_err().is_cancelled());
    }

    /// Ends it in order.
    pub async fn stop(self) {
        self.cancel.cancel();
        tokio::time::timeout(Duration::from_secs(10), self.running)
            .await
            .expect("a member ends within the deadline that it promises")
            .unwrap();
    }
}

/// A letter about `key`.
pub fn letter(key: &str, sequence: i64) -> Event {
    Event {
        id: Uuid::now_v7(),
        event_type: "test.happened".to_owned(),
        source: "/test".to_owned(),
        subject: key.to_owned(),
        time: "2026-11-21T09:00:00Z".parse().unwrap(),
        sequence,
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        payload: vec![1, 2, 3],
    }
}

/// Cargo builds the examples of a package before its tests, beside them.
fn example(name: &str) -> PathBuf {
    let test = env::current_exe().expect("a process knows its program");
    let target = test.parent().and_then(|deps| deps.parent()).expect("tests are built into deps/");
    target.join("examples").join(name)
}
