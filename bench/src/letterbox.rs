//! An outbox of the benchmark's own, as a service has one: the same tables on the same server, letters of the same size, and a
//! process that relays them. What is measured on it is in nobody's topic and no audit's way.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use contracts::{
    event::Event,
    events::v1::OrderCompleted,
    ids::OrderId,
    money::v1::Money,
    order::v1::{Order, OrderStatus, PaymentStatus, PlacedBy, PricedLine},
    topics::{self, ORDERS},
};
use local_servers::{
    process::{Launch, Output, Process},
    provision,
    topics::{TopicSpec, create},
};
use outbox::Relay;
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer},
};
use secrecy::ExposeSecret;
use service_runtime::{
    clock::Clock,
    config::{DatabaseConfig, KafkaConfig},
};
use sqlx::{Connection, PgConnection, PgPool};
use tempfile::TempDir;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::platform::program;

/// Between two looks at how much is published.
const POLL: Duration = Duration::from_millis(10);

/// How long Kafka may take to say how long a partition is.
const KAFKA_ANSWERS: Duration = Duration::from_secs(5);

/// How long letters may take to be published.
const PUBLISHED: Duration = Duration::from_mins(2);

/// A writer commits so often a second: several letters of a batch share a commit, as those of a busy service do.
const COMMITS_PER_SECOND: u32 = 100;

/// Copies a letter so often, each with a key of its own.
const COPY: &str = "
    INSERT INTO outbox (topic, event_id, key, sequence, event_type, source, occurred_at, payload)
    SELECT $1, gen_random_uuid(), gen_random_uuid()::text, 1, $2, $3, clock_timestamp(), $4 FROM generate_series(1, $5)";

/// An outbox and the topic that its letters go to.
pub struct Letterbox {
    /// Its database, as the login that serves.
    pub app_url: String,
    /// Its database, as its owner.
    pub owner_url: String,
    /// The brokers.
    pub bootstrap: String,
    /// Before the name of the topic.
    pub namespace: String,
    kafka: BaseConsumer,
    /// Where its processes say why they ended.
    logs: TempDir,
}

impl Letterbox {
    /// Makes the database `name`, and the topic, which has the same name before its own.
    pub async fn create(superuser_url: &str, bootstrap: &str, name: &str) -> Result<Self> {
        let made = provision::database(superuser_url, name).await?;
        let mut owner = PgConnection::connect(&made.owner_url).await?;
        outbox::MIGRATOR.run_direct(None, &mut owner, false).await.context("making the outbox")?;
        let namespace = format!("{name}.");
        let topic = TopicSpec { name: format!("{namespace}{}", ORDERS.name()), partitions: topics::PARTITIONS };
        create(bootstrap, 1, &[topic]).await?;
        let kafka = ClientConfig::new().set("bootstrap.servers", bootstrap).create()?;
        let (bootstrap, logs) = (bootstrap.to_owned(), TempDir::new()?);
        Ok(Self { app_url: made.app_url, owner_url: made.owner_url, bootstrap, namespace, kafka, logs })
    }

    /// The topic on the wire.
    pub fn topic(&self) -> String {
        format!("{}{}", self.namespace, ORDERS.name())
    }

    /// Starts the process that looks after the outbox.
    pub fn serve(&self, relays: bool, letters_per_second: u32) -> Result<Process> {
        let log = Output::File(self.logs.path().join("letterbox.log"));
        let mut launch = Launch::new("letterbox", program("bench")?, log);
        launch = launch.args(["letterbox", "--rate", &letters_per_second.to_string()]);
        launch = launch.args(relays.then_some("--relay"));
        launch.env.insert("DATABASE_URL".to_owned(), self.app_url.clone());
        launch.env.insert("KAFKA_BOOTSTRAP_SERVERS".to_owned(), self.bootstrap.clone());
        launch.env.insert("KAFKA_NAMESPACE".to_owned(), self.namespace.clone());
        Ok(launch.spawn()?)
    }

    /// Writes so many letters at once.
    pub async fn fill(&self, letters: u32) -> Result<()> {
        let mut database = PgConnection::connect(&self.owner_url).await?;
        let letter = letter(String::new());
        let copied = sqlx::query(COPY)
            .bind(ORDERS.name())
            .bind(letter.event_type)
            .bind(letter.source)
            .bind(letter.payload)
            .bind(i64::from(letters))
            .execute(&mut database)
            .await?;
        ensure!(copied.rows_affected() == u64::from(letters), "not all letters were written");
        Ok(())
    }

    /// How many letters were ever published.
    pub fn published(&self) -> Result<i64> {
        let length = |partition| -> Result<i64> {
            let (first, end) = self.kafka.fetch_watermarks(&self.topic(), partition, KAFKA_ANSWERS)?;
            Ok(end - first)
        };
        (0..topics::PARTITIONS).map(length).sum()
    }

    /// Waits until so many are published. Gives when they were.
    pub async fn until_published(&self, letters: i64) -> Result<Instant> {
        let until = Instant::now() + PUBLISHED;
        loop {
            let published = self.published()?;
            if published >= letters {
                return Ok(Instant::now());
            }
            ensure!(Instant::now() < until, "{published} of {letters} letters were published in {PUBLISHED:?}");
            sleep(POLL).await;
        }
    }
}

/// A letter as order writes one about an order of two lines.
fn letter(subject: String) -> Event {
    let money = |amount_minor| Some(Money { amount_minor, currency: "EUR".to_owned() });
    let line =
        |sku: &str| PricedLine { sku: sku.to_owned(), quantity: 1, unit_price: money(1_000), line_total: money(1_000) };
    let now = Clock::System.now();
    let order = Order {
        order_id: OrderId::new().to_string(),
        customer_id: OrderId::new().to_string(),
        status: OrderStatus::Completed.into(),
        lines: vec![line("sku-0000"), line("sku-0001")],
        total: money(2_000),
        placed_by: PlacedBy::Telephone.into(),
        payment_status: PaymentStatus::Captured.into(),
        version: 1,
        ..Order::default()
    };
    Event::new(ORDERS, subject, 1, now, &OrderCompleted { order: Some(order) })
}

/// What a letter's key begins with: when it was written, in microseconds since 1970. So whoever reads it from Kafka knows, whichever
/// relay brought it.
fn written_at_key(number: u64) -> String {
    format!("{}-{number}", Clock::System.now().as_microsecond())
}

/// When the letter with this key was written, in microseconds since 1970.
pub fn written_at(key: &[u8]) -> Option<i64> {
    std::str::from_utf8(key).ok()?.split_once('-')?.0.parse().ok()
}

/// The process that looks after a letterbox: a service that does nothing but write letters, and relay them.
#[derive(Debug, Args)]
pub struct Service {
    #[command(flatten)]
    database: DatabaseConfig,

    #[command(flatten)]
    kafka: KafkaConfig,

    /// Letters that are written each second.
    #[arg(long)]
    rate: u32,

    /// Relays them.
    #[arg(long)]
    relay: bool,
}

impl Service {
    /// Writes and relays until the process is ended.
    pub async fn run(self) -> Result<()> {
        let relay = Relay::of_service(&self.database, &self.kafka)?;
        let waker = relay.waker();
        if self.relay {
            // it goes on for as long as the process
            tokio::spawn(relay.run(CancellationToken::new()));
        }
        let pool = PgPool::connect(self.database.database_url.expose_secret()).await?;
        let mut ticks = interval(Duration::from_secs(1) / COMMITS_PER_SECOND);
        // what is late is written all the same
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let due = |commits: u64| commits * u64::from(self.rate) / u64::from(COMMITS_PER_SECOND);
        for commit in 0_u64.. {
            ticks.tick().await;
            let letters = (due(commit)..due(commit + 1)).map(|number| letter(written_at_key(number)));
            let letters: Vec<Event> = letters.collect();
            if letters.is_empty() {
                continue;
            }
            let mut tx = pool.begin().await?;
            outbox::append_many_in_tx(&mut tx, ORDERS, &letters).await?;
            tx.commit().await?;
            waker.wake();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_tells_when_its_letter_was_written() {
        let before = Clock::System.now().as_microsecond();
        let written = written_at(written_at_key(7).as_bytes()).expect("it is told");
        assert!((before..before + 10_000_000).contains(&written));
        assert_eq!(written_at(b"0198c0de"), None);
    }
}
