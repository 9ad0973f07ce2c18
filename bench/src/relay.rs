//! The relay: how fast it empties an outbox that has filled up, how long a letter waits for it, and what it costs that it runs.
//!
//! Its lag is told beside what Kafka takes to acknowledge a message by itself, at the same time and under the same load. The lag
//! runs from when a letter was made, which is before its commit, until a reader has it: a little more than the relay's own.

use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use contracts::topics::{self, ORDERS};
use jiff::Timestamp;
use local_servers::{
    process::Process,
    topics::{TopicSpec, create},
};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use serde::Serialize;
use sqlx::{Connection, Executor, PgConnection};
use tokio::time::Instant;

use crate::{
    figure::Figures,
    lag::{self, Lags, Listener},
    letterbox::Letterbox,
    platform::{self, Platform},
    slice::Pace,
    stack::{Order, Stack},
    standstill::Standstill,
    turns::{Turns, in_turns},
};

/// Orders in flight: many, so that the machine is busy.
const IN_FLIGHT: u16 = 256;

/// Letters that wait when the relay begins.
const LETTERS: u32 = 200_000;

/// The same when it is only to be seen that it works.
const LETTERS_QUICK: u32 = 20_000;

/// A topic that nobody reads.
const PROBED: &str = "bench.probe";

/// Between two slices while a snapshot becomes old customers log in again if they have to.
const AGEING: Duration = Duration::from_mins(1);

/// How often, for how long, and how old a snapshot.
#[derive(Debug, Clone, Args, Serialize)]
pub struct Relay {
    #[command(flatten)]
    #[serde(flatten)]
    turns: Turns,

    /// How long a snapshot is held, under load, before it is measured what it does, in minutes; none when quick.
    #[arg(long, default_value = "10", value_name = "MINUTES", value_parser = clap::value_parser!(u8).range(1..=60))]
    pinned: u8,
}

impl Relay {
    /// Everything about the relay, on a platform of its own.
    pub async fn measure(self, figures: &mut Figures) -> Result<()> {
        platform::under_load(async |platform| self.measure_on(platform, figures).await).await
    }

    async fn measure_on(self, platform: &Platform, figures: &mut Figures) -> Result<()> {
        let turns = self.turns;
        let mut stack = Stack::prepare(platform).await?;
        platform.analyze().await?;
        stack.warm_up().await?;
        let peak = on_and_off(platform, "", &mut stack, turns, figures).await?;
        let probed = TopicSpec { name: PROBED.to_owned(), partitions: 1 };
        create(platform.kafka_bootstrap(), 1, &[probed]).await?;
        for _ in turns.cycles() {
            lags(platform, &mut stack, peak, turns.length(), figures).await?;
        }
        let snapshots = Snapshots::take(platform).await?;
        let old_at = Instant::now() + self.old_after();
        while Instant::now() < old_at {
            stack.slice(at_half_of(peak), AGEING).await?;
        }
        on_and_off(platform, ", old snapshot pinned", &mut stack, turns, figures).await?;
        snapshots.release().await?;
        stack.audit().await?;
        drain(platform, peak, turns, figures).await
    }

    fn old_after(&self) -> Duration {
        if self.turns.is_quick() { Duration::ZERO } else { Duration::from_mins(self.pinned.into()) }
    }
}

/// What somebody sees who began to read long ago: until he ends, no version that he may see is removed from any table.
struct Snapshots(Vec<PgConnection>);

impl Snapshots {
    /// Of every database.
    async fn take(platform: &Platform) -> Result<Self> {
        let mut readers = Vec::new();
        for database in platform.databases().await? {
            let mut reader = PgConnection::connect(&platform.database_url(&database)).await?;
            // the first statement takes the snapshot
            for statement in [
                "SET idle_in_transaction_session_timeout = 0",
                "SET transaction_timeout = 0",
                "BEGIN ISOLATION LEVEL REPEATABLE READ",
                "SELECT 1",
            ] {
                reader.execute(statement).await?;
            }
            readers.push(reader);
        }
        Ok(Self(readers))
    }

    async fn release(self) -> Result<()> {
        for mut reader in self.0 {
            reader.execute("COMMIT").await.context("the snapshot was not held")?;
        }
        Ok(())
    }
}

/// So many orders that nobody has to queue.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "so many orders a second fit")]
fn at_half_of(peak: f64) -> Order {
    Order { pace: Pace::Steady((peak / 2.0).max(1.0) as u32), ..Order::closed(IN_FLIGHT) }
}

/// What orders are answered while letters leave and while they do not. With the relay off followers have nothing to do either.
/// Gives the median of what was sustained with the relay on, in orders a second.
async fn on_and_off(
    platform: &Platform,
    condition: &str,
    stack: &mut Stack<'_>,
    turns: Turns,
    figures: &mut Figures,
) -> Result<f64> {
    let orders = platform.database_url("orders");
    let mut sustained = Vec::new();
    for cycle in turns.cycles() {
        let (mut with, mut without) = (0.0, 0.0);
        for relays in in_turns(cycle, true, false) {
            let order = Order::closed(IN_FLIGHT);
            let (name, rate, slice) = if relays {
                ("relay on", &mut with, stack.slice(order, turns.length()).await?)
            } else {
                let standstill = Standstill::begin(&orders).await?;
                let let_go = async || standstill.end().await.map(drop);
                ("relay off", &mut without, stack.slice_then(order, turns.length(), let_go).await?)
            };
            if relays {
                sustained.push(slice.per_second());
            }
            *rate = f64::from(slice.tally.orders()) / slice.answered.as_secs_f64();
            let name = format!("{name}{condition}");
            figures.per_second(format!("{name}: orders answered"), slice.tally.orders(), slice.answered);
            figures.milliseconds(format!("{name}: settled after the last answer"), slice.settling);
        }
        figures.times(format!("relay on{condition}: orders answered against relay off"), with / without);
    }
    sustained.sort_by(f64::total_cmp);
    Ok(sustained[sustained.len() / 2])
}

/// How old letters are when they can be read, at half of the peak.
async fn lags(
    platform: &Platform,
    stack: &mut Stack<'_>,
    peak: f64,
    length: Duration,
    figures: &mut Figures,
) -> Result<()> {
    let bootstrap = platform.kafka_bootstrap();
    let listener = Listener::start(bootstrap, ORDERS.name(), topics::PARTITIONS, made_at)?;
    let (slice, alone) =
        tokio::join!(stack.slice(at_half_of(peak), length), lag::of_kafka_alone(bootstrap, PROBED.to_owned(), length));
    slice?;
    let (relayed, alone) = (Lags::of(listener.stop()?), Lags::of(alone?));
    relayed.note("relay lag at half of the peak", figures);
    alone.note("Kafka's own acknowledgement at half of the peak", figures);
    let beyond = relayed.p99.saturating_sub(alone.p99);
    figures.milliseconds("relay lag at half of the peak: p99 beyond Kafka's own", beyond);
    Ok(())
}

/// `ce_time`, in microseconds since 1970.
fn made_at(letter: &BorrowedMessage<'_>) -> Option<i64> {
    let time = letter.headers()?.iter().find(|header| header.key == "ce_time")?.value?;
    Some(std::str::from_utf8(time).ok()?.parse::<Timestamp>().ok()?.as_microsecond())
}

/// How fast a relay empties an outbox whose letters nobody reads, with nothing else to do on the machine.
async fn drain(platform: &Platform, peak: f64, turns: Turns, figures: &mut Figures) -> Result<()> {
    let server = platform.database_url("postgres");
    let letterbox = Letterbox::create(&server, platform.kafka_bootstrap(), "drained").await?;
    let superuser = platform.database_url("drained");
    let mut relay = letterbox.serve(true, 0)?;
    let letters = if turns.is_quick() { LETTERS_QUICK } else { LETTERS };
    for _ in turns.cycles() {
        let took = drained(&letterbox, &superuser, letters, &mut relay).await?;
        figures.per_second("relay: letters drained", letters, took);
        figures
            .times("relay: letters drained against orders at the peak", f64::from(letters) / took.as_secs_f64() / peak);
    }
    relay.kill().await.context("the relay does not end")?;
    Ok(())
}

/// Fills the outbox while its relay stands still, and lets it go. How long it takes from when it leads.
pub async fn drained(letterbox: &Letterbox, superuser: &str, letters: u32, relay: &mut Process) -> Result<Duration> {
    let standstill = Standstill::begin(superuser).await?;
    let before = letterbox.published()?;
    letterbox.fill(letters).await?;
    let began = standstill.end().await?;
    let published = letterbox.until_published(before + i64::from(letters)).await;
    relay.check_alive()?;
    let took = published? - began;
    eprintln!("relay: {letters} letters in {:.2} s", took.as_secs_f64());
    Ok(took)
}
