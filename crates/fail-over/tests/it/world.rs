//! What every test needs: a database with an outbox and a group, a Kafka that is lost, and another one.

use std::time::Duration;

use consumer::{ConsumerConfig, ConsumerService, EventHandler, HandlerError, Kind};
use contracts::{event::Event, topics::ORDERS};
use fail_over::FailOverConfig;
use jiff::Timestamp;
use outbox::{Relay, RelayConfig};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::{Header, Headers, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use service_runtime::{
    Error,
    config::{KafkaConfig, MigrateConfig},
};
use sqlx::{PgConnection, PgPool};
use testkit::{TestDatabase, TestKafka};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub const PARTITIONS: i32 = 3;

/// How long a broker may take to answer.
const BROKER: Duration = Duration::from_secs(10);

pub struct World {
    pub database: TestDatabase,
    /// The Kafka that is lost.
    pub first: TestKafka,
    /// The one with the copies.
    pub second: TestKafka,
}

/// A letter on a topic.
pub struct Lying {
    pub partition: i32,
    pub offset: i64,
    pub put_at_ms: i64,
    pub event: Event,
}

impl World {
    pub async fn new() -> Self {
        let database =
            testkit::database("service", &[&outbox::MIGRATOR, &consumer::MIGRATOR, &operator_log::MIGRATOR]).await;
        sqlx::query("CREATE TABLE effect (event_id uuid PRIMARY KEY, key text NOT NULL, sequence bigint NOT NULL)")
            .execute(&database.owner)
            .await
            .unwrap();
        let (first, second) = (testkit::kafka(), testkit::kafka());
        first.create_topic(ORDERS.name(), PARTITIONS).await;
        second.create_topic(ORDERS.name(), PARTITIONS).await;
        Self { database, first, second }
    }

    /// Commits the letters of these versions of each key.
    pub async fn write(&self, keys: &[&str], versions: std::ops::RangeInclusive<i64>) {
        let mut connection = self.database.owner.acquire().await.unwrap();
        for version in versions {
            for key in keys {
                outbox::append_in_tx(&mut connection, ORDERS, &letter(key, version)).await.unwrap();
            }
        }
    }

    /// Lets the topic of the first Kafka begin at this offset, as if so many letters of each partition had been there and gone.
    pub async fn begin_at(&self, offset: i64) {
        let settings = ClientConfig::new().set("bootstrap.servers", &self.first.bootstrap).clone();
        let producer: FutureProducer = settings.create().unwrap();
        let (topic, mut gone) = (self.first.topic(ORDERS.name()), TopicPartitionList::new());
        for partition in 0..PARTITIONS {
            for _ in 0..offset {
                producer.send(FutureRecord::<(), ()>::to(&topic).partition(partition), BROKER).await.unwrap();
            }
            gone.add_partition_offset(&topic, partition, Offset::Offset(offset)).unwrap();
        }
        let admin: AdminClient<DefaultClientContext> = settings.create().unwrap();
        admin.delete_records(&gone, &AdminOptions::new()).await.unwrap();
    }

    /// A process of the service, with this Kafka: its relay and its group.
    pub async fn serve(&self, kafka: &TestKafka) -> Process {
        let mut process = self.publish(kafka).await;
        let config = ConsumerConfig::new(&kafka.bootstrap, &kafka.namespace, "test");
        let group = ConsumerService::new(config, process.pool.clone()).on(ORDERS, Recorder);
        process.parts.spawn(group.run(process.cancel.clone()));
        process
    }

    /// A process with the relay alone.
    pub async fn publish(&self, kafka: &TestKafka) -> Process {
        let pool = PgPool::connect(&self.database.app_url).await.unwrap();
        let relay = Relay::new(RelayConfig {
            database_url: self.database.app_url.clone().into(),
            kafka_bootstrap_servers: kafka.bootstrap.clone(),
            kafka_namespace: kafka.namespace.clone(),
            retention_days: RelayConfig::RETENTION_DAYS,
        });
        let (cancel, mut parts) = (CancellationToken::new(), JoinSet::new());
        parts.spawn(relay.unwrap().run(cancel.clone()));
        Process { pool, cancel, parts }
    }

    /// What operators have done, oldest first, in words.
    pub async fn noted(&self) -> Vec<String> {
        sqlx::query_scalar(
            "SELECT operator || ' ' || action || ' ' || object || ': ' || (detail ->> 'letters') || ' letters'
             FROM operator_log ORDER BY id",
        )
        .fetch_all(&self.database.owner)
        .await
        .unwrap()
    }

    /// `test fail-over`, to the second Kafka.
    pub async fn fail_over(&self, since: Option<Timestamp>) -> Result<(), Error> {
        self.fail_over_to(&self.second, since).await
    }

    pub async fn fail_over_to(&self, kafka: &TestKafka, since: Option<Timestamp>) -> Result<(), Error> {
        let config = FailOverConfig {
            since,
            database: MigrateConfig { database_url: self.database.owner_url.clone().into() },
            kafka: KafkaConfig {
                kafka_bootstrap_servers: kafka.bootstrap.clone(),
                kafka_namespace: kafka.namespace.clone(),
            },
        };
        fail_over::run(config, "test").await
    }

    /// Copies letters to the second Kafka as MirrorMaker does: each to its partition, with its time.
    pub async fn copy(&self, letters: impl IntoIterator<Item = &Lying>) {
        let settings = ClientConfig::new().set("bootstrap.servers", &self.second.bootstrap).clone();
        let producer: FutureProducer = settings.create().unwrap();
        let topic = self.second.topic(ORDERS.name());
        for letter in letters {
            let headers = letter.event.to_headers();
            let headers = headers
                .iter()
                .fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(value) }));
            let record = FutureRecord::to(&topic).key(&letter.event.subject).payload(&letter.event.payload);
            let record = record.headers(headers).partition(letter.partition).timestamp(letter.put_at_ms);
            producer.send(record, BROKER).await.unwrap();
        }
    }

    pub async fn number(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&self.database.owner).await.unwrap()
    }

    /// Where the outbox begins again, and the group's positions by partition.
    pub async fn state(&self) -> (i64, Vec<i64>) {
        let positions = "SELECT next FROM consumer_position ORDER BY partition";
        let positions = sqlx::query_scalar(positions).fetch_all(&self.database.owner).await.unwrap();
        (self.number("SELECT floor FROM outbox_progress").await, positions)
    }
}

/// A process that serves.
pub struct Process {
    pool: PgPool,
    cancel: CancellationToken,
    parts: JoinSet<()>,
}

impl Process {
    pub async fn stop(self) {
        self.cancel.cancel();
        self.parts.join_all().await;
        self.pool.close().await;
    }
}

/// Notes each letter once.
struct Recorder;

impl EventHandler for Recorder {
    const GROUP: &'static str = "test.record";
    const KIND: Kind = Kind::Effect;

    async fn handle(&self, conn: &mut PgConnection, event: &Event) -> Result<(), HandlerError> {
        sqlx::query("INSERT INTO effect VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
            .bind(event.id)
            .bind(&event.subject)
            .bind(event.sequence)
            .execute(conn)
            .await?;
        Ok(())
    }
}

pub fn letter(key: &str, sequence: i64) -> Event {
    Event {
        id: Uuid::now_v7(),
        event_type: "test.happened".to_owned(),
        source: "/test".to_owned(),
        subject: key.to_owned(),
        time: "2026-11-21T09:00:00Z".parse().unwrap(),
        sequence,
        traceparent: None,
        payload: vec![1, 2, 3],
    }
}

/// Every letter on the topic now, each partition in its order.
pub async fn lying(kafka: &TestKafka) -> Vec<Lying> {
    let kafka = kafka.clone();
    tokio::task::spawn_blocking(move || read(&kafka)).await.unwrap()
}

fn read(kafka: &TestKafka) -> Vec<Lying> {
    let reader: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &kafka.bootstrap)
        .set("group.id", "a-reader-in-no-group")
        .set("enable.partition.eof", "true")
        .create()
        .unwrap();
    let mut from_start = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        from_start.add_partition_offset(&kafka.topic(ORDERS.name()), partition, Offset::Beginning).unwrap();
    }
    reader.assign(&from_start).unwrap();
    let (mut letters, mut ended) = (Vec::new(), 0);
    while ended < PARTITIONS {
        let message = match reader.poll(BROKER).expect("each partition ends") {
            Err(KafkaError::PartitionEOF(_)) => {
                ended += 1;
                continue;
            }
            message => message.unwrap(),
        };
        let headers = message.headers().into_iter().flat_map(Headers::iter).map(|header| (header.key, header.value));
        letters.push(Lying {
            partition: message.partition(),
            offset: message.offset(),
            put_at_ms: message.timestamp().to_millis().unwrap(),
            event: Event::from_kafka(message.key(), headers, message.payload()).unwrap(),
        });
    }
    letters
}
