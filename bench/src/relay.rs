//! The relay: how fast it empties an outbox that has filled up, how long a letter waits for it, and what it costs that it runs.
//!
//! Its lag is told beside what Kafka takes to acknowledge a message by itself, at the same time and under the same load. The lag
//! runs from when a letter was made, which is before its commit, until a reader has it: a little more than the relay's own.

use std::time::Duration;

use anyhow::{Context, Result};
use contracts::topics::{self, ORDERS};
use jiff::Timestamp;
use local_servers::{
    process::Process,
    topics::{TopicSpec, create},
};
use rdkafka::message::{BorrowedMessage, Headers, Message};

use crate::{
    figure::Figures,
    lag::{self, Lags, Listener},
    letterbox::Letterbox,
    platform::{self, Platform, Start},
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

/// Everything about the relay, on a platform of its own.
pub async fn measure(turns: Turns, figures: &mut Figures) -> Result<()> {
    let start = Start { profile: Some("bench"), ..Start::default() };
    platform::with(start, async |platform| measure_on(platform, turns, figures).await).await
}

async fn measure_on(platform: &Platform, turns: Turns, figures: &mut Figures) -> Result<()> {
    let mut stack = Stack::prepare(platform).await?;
    platform.analyze().await?;
    stack.warm_up().await?;
    let peak = on_and_off(platform, &mut stack, turns, figures).await?;
    let probed = TopicSpec { name: PROBED.to_owned(), partitions: 1 };
    create(platform.kafka_bootstrap(), 1, &[probed]).await?;
    for _ in turns.cycles() {
        lags(platform, &mut stack, peak, turns.length(), figures).await?;
    }
    stack.audit().await?;
    drain(platform, peak, turns, figures).await
}

/// What orders are answered while letters leave and while they do not. With the relay off followers have nothing to do either.
/// Gives the median of what was sustained with the relay on, in orders a second.
async fn on_and_off(platform: &Platform, stack: &mut Stack<'_>, turns: Turns, figures: &mut Figures) -> Result<f64> {
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
            figures.per_second(format!("{name}: orders answered"), slice.tally.orders(), slice.answered);
            figures.milliseconds(format!("{name}: settled after the last answer"), slice.settling);
        }
        figures.times("relay on: orders answered against relay off", with / without);
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
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "so many orders a second fit")]
    let pace = Pace::Steady((peak / 2.0).max(1.0) as u32);
    let bootstrap = platform.kafka_bootstrap();
    let listener = Listener::start(bootstrap, ORDERS.name(), topics::PARTITIONS, made_at)?;
    let (slice, alone) = tokio::join!(
        stack.slice(Order { pace, ..Order::closed(IN_FLIGHT) }, length),
        lag::of_kafka_alone(bootstrap, PROBED.to_owned(), length),
    );
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
