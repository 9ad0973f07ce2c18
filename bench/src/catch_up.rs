//! How soon a follower that stood still has read what it missed, against applying one letter after another.
//!
//! The process is halted (SIGSTOP) while orders are placed, and let go on when nobody else writes letters any more. If that is longer
//! than its groups wait for a member they have given its partitions up: it joins again, which is in the time until it has caught
//! up, and not in the rate.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer},
};
use sqlx::{Connection, PgConnection};
use tokio::time::{Instant, sleep};

use crate::{
    figure::Figures,
    halted::Halted,
    pg::Ceiling,
    platform::{self, Platform},
    script::Script,
    slice::Pace,
    stack::{Order, Stack},
    turns::Turns,
};

/// A follower and its database.
const FOLLOWERS: [(&str, &str); 2] = [("analytics", "analytics"), ("shipping", "shipping")];

/// Orders in flight.
const IN_FLIGHT: u16 = 256;

/// One who applies letters one after another: two would not keep their order.
const ONE: u16 = 1;

/// How long a follower may take, and Kafka until it gets no more letters.
const DEADLINE: Duration = Duration::from_mins(1);

/// How long Kafka may take to say how long a partition is.
const KAFKA_ANSWERS: Duration = Duration::from_secs(5);

const POLL: Duration = Duration::from_millis(5);

/// Topics that have not grown for so long do so no more: longer than a relay sleeps when nobody wakes it.
const STILL: Duration = Duration::from_millis(500);

/// What a follower's groups read.
const POSITIONS: &str = "SELECT topic, partition FROM consumer_position";

/// How many letters its groups have passed.
const PASSED: &str = "SELECT coalesce(sum(next), 0)::bigint FROM consumer_position";

/// Halts one follower after another.
pub async fn measure(turns: Turns, figures: &mut Figures) -> Result<()> {
    platform::under_load(async |platform| measure_on(platform, turns, figures).await).await
}

async fn measure_on(platform: &Platform, turns: Turns, figures: &mut Figures) -> Result<()> {
    let mut ceiling = Ceiling::prepare(platform).await?;
    let one_by_one = Arc::new(Script::parse(include_str!("../sql/apply.sql"))?);
    let mut stack = Stack::prepare(platform).await?;
    platform.analyze().await?;
    stack.warm_up().await?;
    for _ in turns.cycles() {
        let clients = ceiling.clients(&one_by_one, ONE).await?;
        ceiling.sweep().await?;
        let (applied, took) = clients.order(Pace::Closed, turns.length()).await?;
        let one_by_one = f64::from(applied.orders()) / took.as_secs_f64();
        figures.per_second("letters applied one by one", applied.orders(), took);
        for (name, database) in FOLLOWERS {
            let mut follower = Follower::of(platform, name, database).await?;
            let halted = Halted::halt(follower.pid)?;
            let mut caught_up = None;
            let catching_up = async || {
                caught_up = Some(follower.catch_up(halted).await?);
                Ok(())
            };
            let slice = stack.slice_then(Order::closed(IN_FLIGHT), turns.length(), catching_up).await?;
            let answered = f64::from(slice.tally.orders()) / slice.answered.as_secs_f64();
            let caught_up = caught_up.context("a slice that did not end")?;
            let rate = caught_up.per_second();
            eprintln!("{name}: caught up after {:.2} s, {rate:.0} letters/s", caught_up.after.as_secs_f64());
            figures.milliseconds(format!("{name}: caught up after"), caught_up.after);
            figures.per_second(format!("{name} catching up: letters"), caught_up.letters, caught_up.reading);
            figures.times(format!("{name} catching up: letters against one by one"), rate / one_by_one);
            figures.times(format!("{name} catching up: letters against orders at the peak"), rate / answered);
        }
    }
    stack.audit().await
}

struct Follower {
    pid: u32,
    database: PgConnection,
    kafka: BaseConsumer,
}

struct CaughtUp {
    /// From when it went on.
    after: Duration,
    /// What it read after its first transaction, …
    letters: u32,
    /// … and from then.
    reading: Duration,
}

impl CaughtUp {
    fn per_second(&self) -> f64 {
        f64::from(self.letters) / self.reading.as_secs_f64()
    }
}

impl Follower {
    async fn of(platform: &Platform, name: &str, database: &str) -> Result<Self> {
        let service = platform.services().iter().find(|service| service.name == name);
        let pid = service.with_context(|| format!("{name} does not run"))?.pid;
        let database = PgConnection::connect(&platform.database_url(database)).await?;
        let kafka = ClientConfig::new().set("bootstrap.servers", platform.kafka_bootstrap()).create()?;
        Ok(Self { pid, database, kafka })
    }

    /// Lets it go on when no letters come any more, and waits until it has read them all.
    async fn catch_up(&mut self, halted: Halted) -> Result<CaughtUp> {
        let until = Instant::now() + DEADLINE;
        let (mut end, mut grown_at) = (self.end().await?, Instant::now());
        while grown_at.elapsed() < STILL {
            sleep(POLL).await;
            let now = self.end().await?;
            if now != end {
                (end, grown_at) = (now, Instant::now());
            }
            ensure!(Instant::now() < until, "letters are still written {DEADLINE:?} after the last answer");
        }
        let missed_from = self.passed().await?;
        drop(halted);
        let began = Instant::now();
        let mut first = None;
        loop {
            let passed = self.passed().await?;
            if passed != missed_from {
                let &mut (first_passed, first_at) = first.get_or_insert((passed, Instant::now()));
                if passed >= end {
                    let (after, reading) = (began.elapsed(), first_at.elapsed());
                    ensure!(end > first_passed, "too few letters to tell how fast they are read");
                    return Ok(CaughtUp { after, letters: u32::try_from(end - first_passed)?, reading });
                }
            }
            ensure!(began.elapsed() < DEADLINE, "the follower has not caught up in {DEADLINE:?}: {passed} of {end}");
            sleep(POLL).await;
        }
    }

    async fn passed(&mut self) -> Result<i64> {
        Ok(sqlx::query_scalar(PASSED).fetch_one(&mut self.database).await?)
    }

    /// What its groups will have passed when they are at the end of all partitions that they have begun.
    async fn end(&mut self) -> Result<i64> {
        let positions: Vec<(String, i32)> = sqlx::query_as(POSITIONS).fetch_all(&mut self.database).await?;
        let ends = positions.iter().map(|(topic, partition)| {
            let (_, end) = self.kafka.fetch_watermarks(topic, *partition, KAFKA_ANSWERS)?;
            anyhow::Ok(end)
        });
        ends.sum()
    }
}
