//! Giving a group its letters again: what `<service> replay GROUP --from beginning|TIME [--to TIME]` does.
//!
//! The service may run meanwhile, and the group goes on reading. A replay is no member of the group: it reads the
//! partitions itself ([`source`]), up to the letter that the group is at and never beyond, so it overtakes nobody and
//! there is nothing that both could do first. It hands letters to the same handlers through the same batches as a
//! member, with a position of its own. What [`Kind`] says decides where the effects go.
//!
//! # A projection
//! Its tables hold nothing but what the letters say, so they are made anew, beside the old ones, in a schema of their
//! own (`<group>_replay`, [`generation`]), and put into the place of the old ones when they have caught up.
//!
//! - **The handler does not know.** The replay's connections have a `search_path` that finds the schema before `public`, so
//!   a handler's tables are the new ones, as long as it names no schema itself. The tables of the consumer that it works
//!   with (position, parked letters, inbox) are in the schema as well: nothing outside of it has to be undone.
//! - **No letters.** Where the service has an outbox, the schema has one too, and a rule turns every insert into it into
//!   nothing. That a handler reaches around (`public.outbox`), or writes a table that its [`Kind::Projection`] does not
//!   name and that would so be counted into twice, is found before each commit: Postgres counts what a transaction has
//!   written to which table, and one that wrote outside the schema is rolled back and ends the replay.
//! - **Catching up.** When all letters up to where the group was are done, it reads on to where the group is now. Once that
//!   is near, one transaction locks the group's positions, so that the group stands still; the last letters are done;
//!   and when both are at the same offsets, the tables are swapped. Readers wait for that moment and nothing else. If it
//!   takes too long, the locks are let go, and it is tried again.
//! - **After the swap** the tables have the grants, and the indexes, keys and sequences the names, that they had, so that
//!   migrations find what they expect. That this is so is checked under the locks, against the catalog ([`tables`]). Statements
//!   that the service has prepared are planned again by Postgres, which invalidates plans that mention a dropped table.
//! - **A letter that the handler refuses** is parked in the new generation, and later letters of its key wait behind it: the
//!   old generation has done the same, and one dead letter must not make every replay impossible. Before the swap each is
//!   tried once more, since letters of two topics come in another order than the first time. With the swap the new
//!   generation's parked letters take the place of the group's, and the group's retries go on with them. A letter that was
//!   dead is thus tried again, one that was discarded comes back, and one that the handler takes by now is done.
//! - **Retention.** If the oldest letters of a topic are gone, what they said would be gone from the new tables too. So
//!   `--from beginning` then refuses, and `--from TIME` says that this is wanted.
//!
//! # An effect
//! Its letters go to the handler once more, in normal transactions on the service's tables and with its letters on. Natural
//! keys make only what is missing. Letters that the group has not come to yet are left to it. A letter that is refused is
//! told with topic, partition and offset, the later ones of its key are left out with it, all others go on, and the
//! replay ends with exit code 1; nothing of it stays parked, since the group itself is past the letter or has it parked.
//! Effects whose natural key is an inbox row are safe for [`crate::INBOX_KEPT_DAYS`], which is longer than topics keep letters.
//!
//! # What is noted
//! An operator did it: an entry in the operator log tells so. That of a projection is written in the transaction that swaps, so a replay
//! which came to nothing has none; that of an effect in the transaction that begins it, after which it may have made something.
//!
//! # When it dies
//! Up to the swap's commit, everything that a replay has made is in its schema, or made what was missing. Killed at any
//! point, it is begun again from its start: the next replay of the group drops the schema first. Two at once are kept
//! apart by an advisory lock; the swap is made on the connection that holds it.

mod config;
mod generation;
mod progress;
mod source;
pub(crate) mod tables;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use operator_log::{Action, Operator, note_in_tx};
use service_runtime::{Error, KeptConnection, Shutdown, config::DatabaseConfig, database};
use sqlx::{Connection, PgConnection, PgPool};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    backoff::Pause,
    batch::{self, Slice, Stop},
    config::ConsumerConfig,
    group::{Confined, Group, Partition},
    handler::Kind,
    parked, position, retry,
    service::ConsumerService,
    uncut::uncut_query,
};
use config::Span;
use generation::Generation;
use progress::{Line, Progress};
use source::{Extent, Source};

pub use config::ReplayConfig;

/// How long an outage may last before the replay is given up.
const OUTAGE_MAX: Duration = Duration::from_secs(30);

/// The group is stopped for the last letters when there are no more than so many.
const LAST_LETTERS_MAX: i64 = 1_000;

/// How long the group may stand still: less than the `lock_timeout` of the role that serves, so that nothing fails.
const STANDSTILL_MAX: Duration = Duration::from_secs(3);

/// How long a swap is tried against others who hold the tables.
const SWAP_PATIENCE: Duration = Duration::from_mins(1);

/// The pause before a swap is tried again. Readers come through meanwhile.
const SWAP_PAUSE: Duration = Duration::from_millis(500);

/// The most refused letters that are told one by one.
const REFUSED_TOLD_MAX: usize = 20;

/// Runs the sub-command `replay` of a service. `handlers` gives every topic its handler, as for serving.
///
/// Progress goes to standard output. Exit codes: 64 no such group, or times that make no sense; 69 Postgres or Kafka is away;
/// 75 another replay of the group runs; 1 anything else, refused letters of an effect among it.
pub async fn run(
    config: ReplayConfig,
    service: &'static str,
    handlers: impl FnOnce(ConsumerConfig, PgPool) -> ConsumerService,
    shutdown: &Shutdown,
) -> Result<(), Error> {
    let mut progress = Progress::new(config.json);
    let outcome = replay(&config, service, handlers, shutdown, &mut progress).await;
    if let Err(error) = &outcome {
        progress.tell(&Line::Failed { error: &error.to_string() });
    }
    outcome
}

async fn replay(
    config: &ReplayConfig,
    service: &'static str,
    handlers: impl FnOnce(ConsumerConfig, PgPool) -> ConsumerService,
    shutdown: &Shutdown,
    progress: &mut Progress,
) -> Result<(), Error> {
    let live = database::connect(&DatabaseConfig {
        database_url: config.database.database_url.clone(),
        database_connections: 3,
        database_acquire_timeout_ms: 10_000,
    })
    .await?;
    let kafka = &config.kafka;
    let settings = ConsumerConfig::new(&kafka.kafka_bootstrap_servers, &kafka.kafka_namespace, service);
    let mut group = handlers(settings, live.clone()).into_group(&config.group)?;
    let kind = group.kind().map_err(Error::Config)?;
    let span = Span::read(config, kind)?;
    let generation = Generation::of(group.name, kind);
    group.pool = generation.pool(&live);
    group.connection = KeptConnection::of(group.pool.clone());
    // each parked letter is tried once in a round, and never dies here
    group.config.retry_backoff = Duration::from_hours(1);
    group.config.retry_tries_max = u32::MAX;
    if let Kind::Projection { .. } = kind {
        group.confined = Some(Confined::to(&generation.schema));
    }
    let group = Arc::new(group);
    let source = Source::open(&group)?;
    let mut lock = live.acquire().await.map_err(Failure::from)?.detach();
    // that a schema which is dropped was not there is no news
    tables::execute(&mut lock, "SET client_min_messages = warning".to_owned()).await.map_err(Failure::from)?;
    if !is_alone(&mut lock, &group).await.map_err(Failure::from)? {
        return Err(Error::TryAgain(format!("another replay of {} is under way: wait for it", group.name)));
    }
    let mut replay =
        Replay { group, kind, span, live, generation, source, starts: BTreeMap::new(), shutdown, progress };
    let outcome = replay.run(&mut lock).await;
    if outcome.is_err() {
        // what went wrong may be that this connection is gone; then the next replay drops the schema
        let _ = replay.generation.drop(&mut lock).await;
    }
    Ok(outcome?)
}

/// Takes the lock that is held until the connection ends.
async fn is_alone(lock: &mut PgConnection, group: &Group) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtextextended('replay of ' || $1, 0))")
        .bind(group.name)
        .fetch_one(lock)
        .await
}

struct Replay<'a> {
    /// Its handlers, on the generation's connections.
    group: Arc<Group>,
    kind: Kind,
    span: Span,
    /// Connections to what is served.
    live: PgPool,
    generation: Generation,
    source: Source,
    starts: BTreeMap<Partition, i64>,
    shutdown: &'a Shutdown,
    progress: &'a mut Progress,
}

impl Replay<'_> {
    async fn run(&mut self, lock: &mut PgConnection) -> Result<(), Failure> {
        // before the ends of the topics, which the group may follow meanwhile
        let known = self.known_positions().await?;
        let extents = self.source.extents().await?;
        self.check_known(&known, &extents)?;
        let partitions: Vec<Partition> = extents.keys().copied().collect();
        let at = position::read(&self.live, &self.group, &partitions).await?;
        let targets = self.choose_range(&extents, &at).await?;
        let mut tx = lock.begin().await?;
        if !self.is_projection() {
            // from here on it may make something, batch by batch
            note_in_tx(&mut tx, &self.action(&targets)).await?;
        }
        self.generation.make_in_tx(&mut tx).await?;
        tx.commit().await?;
        self.generation.start_at(&self.group.pool, &self.group, &self.starts).await?;
        self.source.start_at(&self.starts)?;
        let kind = if self.is_projection() { "projection" } else { "effect" };
        self.progress.tell(&Line::Begun { group: self.group.name, kind, letters: self.letters(&targets) });
        if self.is_projection() {
            self.catch_up_and_swap(lock, targets).await
        } else {
            self.read_to(&targets, None).await?;
            self.retry_parked().await?;
            self.source.has_read_all().await?;
            self.end_effect(lock).await
        }
    }

    /// This replay, as the operator log tells it. A projection's is noted in the transaction that swaps its tables, an effect's in the one that
    /// begins it.
    fn action(&self, to: &BTreeMap<Partition, i64>) -> Action {
        let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
        Action::new(Operator::CommandLine, "replay", format!("group/{}", self.group.name))
            .with("kind", if self.is_projection() { "projection" } else { "effect" })
            .with("from", time(self.span.from).unwrap_or_else(|| "beginning".to_owned()))
            .with("to", time(self.span.to))
            .with("letters", self.letters(to))
    }

    const fn is_projection(&self) -> bool {
        matches!(self.kind, Kind::Projection { .. })
    }

    /// Where the group is, in the topics that it reads.
    async fn known_positions(&self) -> Result<BTreeMap<Partition, i64>, Failure> {
        let rows: Vec<(String, i32, i64)> =
            sqlx::query_as(r#"SELECT topic, partition, next FROM consumer_position WHERE "group" = $1 AND next > 0"#)
                .bind(self.group.name)
                .fetch_all(&self.live)
                .await?;
        let known = rows
            .into_iter()
            .filter_map(|(topic, number, next)| Some((Partition { topic: self.group.topic(&topic)?, number }, next)));
        Ok(known.collect())
    }

    /// These positions must be places in the topics.
    fn check_known(
        &self,
        known: &BTreeMap<Partition, i64>,
        extents: &BTreeMap<Partition, Extent>,
    ) -> Result<(), Failure> {
        for (partition, &next) in known {
            let end = extents.get(partition).map_or(0, |extent| extent.high);
            if next > end {
                return Err(self.other_topic(partition.topic, partition.number, next, end));
            }
        }
        Ok(())
    }

    fn other_topic(&self, topic: &str, number: i32, next: i64, end: i64) -> Failure {
        let group = self.group.name;
        Failure::Other(format!(
            "{group} is at offset {next} of {topic}, partition {number}, which ends at {end}: is this another Kafka or \
             KAFKA_NAMESPACE, or was the topic made anew?"
        ))
    }

    /// Where to begin, and how far to read for now: nowhere further than the group is.
    async fn choose_range(
        &mut self,
        extents: &BTreeMap<Partition, Extent>,
        at: &BTreeMap<Partition, i64>,
    ) -> Result<BTreeMap<Partition, i64>, Failure> {
        let mut targets = at.clone();
        if let Some(to) = self.span.to {
            for (partition, offset) in self.source.offsets_at(to, extents).await? {
                targets.entry(partition).and_modify(|target| *target = offset.min(*target));
            }
        }
        let begin: BTreeMap<Partition, i64> = match self.span.from {
            None => extents.iter().map(|(&partition, extent)| (partition, extent.low)).collect(),
            Some(from) => self.source.offsets_at(from, extents).await?,
        };
        self.starts = begin.iter().map(|(&partition, &begin)| (partition, begin.min(targets[&partition]))).collect();
        let gone: i64 = extents.iter().map(|(partition, extent)| extent.low.min(targets[partition])).sum();
        if gone > 0 && self.span.from.is_none() {
            if self.is_projection() {
                return Err(Failure::Other(format!(
                    "the oldest {gone} letters are gone from the topics, and what they said would be gone from the new \
                     tables: say --from TIME to build them from what is left"
                )));
            }
            let text = format!("the oldest {gone} letters are gone from the topics and cannot be given again");
            self.progress.tell(&Line::Note { text: &text });
        }
        Ok(targets)
    }

    fn check_not_ended(&self) -> Result<(), Failure> {
        if self.shutdown.token().is_cancelled() { Err(Failure::Ended) } else { Ok(()) }
    }

    /// Fails when the handler has tried to write where it must not.
    fn check_confined(&self) -> Result<(), Failure> {
        match self.group.confined.as_ref().and_then(Confined::broken_by) {
            None => Ok(()),
            Some(table) => Err(Failure::Other(format!(
                "the handler writes {table}, which its Kind::Projection does not name; nothing of it was kept"
            ))),
        }
    }

    /// How many offsets lie between the starts and these.
    fn letters(&self, to: &BTreeMap<Partition, i64>) -> i64 {
        self.starts.iter().map(|(partition, start)| to.get(partition).map_or(0, |to| to - start)).sum()
    }

    /// Handles every letter before the targets; `false` when `until` came first.
    async fn read_to(&mut self, targets: &BTreeMap<Partition, i64>, until: Option<Instant>) -> Result<bool, Failure> {
        self.source.go_on_to(targets)?;
        while !self.source.is_at_its_targets() {
            self.check_not_ended()?;
            if until.is_some_and(|until| Instant::now() >= until) {
                return Ok(false);
            }
            let slices = self.source.next_batch().await?;
            self.handle(slices).await?;
            let done = self.letters(&self.source.positions());
            self.progress.reading(done, self.letters(targets));
        }
        Ok(true)
    }

    /// Handles letters, and those that an outage stops again and again.
    async fn handle(&mut self, mut slices: Vec<Slice>) -> Result<(), Failure> {
        let mut outage: Option<Pause> = None;
        let mut give_up_at = Instant::now() + OUTAGE_MAX;
        let letters = |slices: &[Slice]| slices.iter().map(|slice| slice.letters.len()).sum::<usize>();
        while !slices.is_empty() {
            self.check_not_ended()?;
            let before = letters(&slices);
            let mut left = Vec::new();
            let mut reason = None;
            for progress in batch::process(self.group.clone(), slices, self.shutdown.token()).await {
                self.source.moved_to(progress.partition, progress.next);
                match progress.stop {
                    None | Some(Stop::Interrupted) => {}
                    Some(Stop::Fenced) => return Err(Failure::Other("another replay has taken over".to_owned())),
                    Some(Stop::Full) => return Err(self.too_many_refused()),
                    Some(Stop::Outage(outage)) => reason = Some(outage),
                }
                if !progress.left.is_empty() {
                    left.push(Slice { partition: progress.partition, from: progress.next, letters: progress.left });
                }
            }
            slices = left;
            if letters(&slices) < before {
                give_up_at = Instant::now() + OUTAGE_MAX;
            }
            self.check_confined()?;
            match reason {
                Some(reason) if Instant::now() >= give_up_at => {
                    return Err(Failure::Other(format!("for {} s: {reason}", OUTAGE_MAX.as_secs())));
                }
                Some(_) => {
                    let pause = outage.insert(Pause::begin(outage.as_ref(), self.group.config.outage_backoff_max));
                    sleep_until(pause.until()).await;
                }
                None => {}
            }
        }
        Ok(())
    }

    fn too_many_refused(&self) -> Failure {
        let most = self.group.config.parked_letters_max;
        Failure::Other(format!("the handler refuses more than {most} letters, or letters of their keys: mend it first"))
    }

    /// Tries what was refused once more, for as long as that makes it less.
    async fn retry_parked(&self) -> Result<(), Failure> {
        let count = async |group: Arc<Group>| parked::count(&group.pool, &group).await.map(|(parked, _)| parked);
        let mut before = count(self.group.clone()).await?;
        while before > 0 {
            parked::make_due(&self.group.pool, &self.group).await?;
            while !self.shutdown.token().is_cancelled()
                && uncut_query(&self.group, retry::retry_one).await.map_err(Failure::Other)?
            {}
            self.check_confined()?;
            let after = count(self.group.clone()).await?;
            if after == before {
                break;
            }
            before = after;
        }
        Ok(())
    }

    async fn catch_up_and_swap(
        &mut self,
        lock: &mut PgConnection,
        mut targets: BTreeMap<Partition, i64>,
    ) -> Result<(), Failure> {
        let mut is_analyzed = false;
        let mut give_up_at = None;
        loop {
            self.read_to(&targets, None).await?;
            self.retry_parked().await?;
            self.source.has_read_all().await?;
            if !std::mem::replace(&mut is_analyzed, true) {
                self.generation.analyze(lock).await?;
            }
            let partitions: Vec<Partition> = self.starts.keys().copied().collect();
            targets = position::read(&self.live, &self.group, &partitions).await?;
            if self.letters(&targets) - self.letters(&self.source.positions()) > LAST_LETTERS_MAX {
                continue;
            }
            self.check_not_ended()?;
            match self.swap(lock, &partitions).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(Failure::Busy(reason)) => {
                    if Instant::now() >= *give_up_at.get_or_insert_with(|| Instant::now() + SWAP_PATIENCE) {
                        return Err(Failure::Busy(reason));
                    }
                }
                Err(failure) => return Err(failure),
            }
            sleep(SWAP_PAUSE).await;
        }
    }

    /// Lets the group stand still, does the last letters, and swaps. `false`: they took too long, and nothing has changed.
    async fn swap(&mut self, lock: &mut PgConnection, partitions: &[Partition]) -> Result<bool, Failure> {
        let mut tx = lock.begin().await?;
        tables::execute(&mut tx, "SET LOCAL lock_timeout = '3s'".to_owned()).await?;
        let targets = position::lock_in_tx(&mut tx, &self.group, partitions).await?;
        if !self.read_to(&targets, Some(Instant::now() + STANDSTILL_MAX)).await? {
            tx.rollback().await?;
            return Ok(false);
        }
        if targets != self.source.positions() {
            return Err(Failure::Other("the replay is not where the group is, though it read all letters".to_owned()));
        }
        let (refused, waiting) = parked::count_refused(&self.group.pool, &self.group).await?;
        self.generation.swap_in_tx(&mut tx, &self.group).await?;
        note_in_tx(&mut tx, &self.action(&targets)).await?;
        tx.commit().await?;
        self.progress.done(self.letters(&targets), refused, waiting);
        Ok(true)
    }

    /// Tells what was refused, and leaves nothing behind.
    async fn end_effect(&mut self, lock: &mut PgConnection) -> Result<(), Failure> {
        let (refused, waiting) = parked::count_refused(&self.group.pool, &self.group).await?;
        let first = parked::first_refused(&self.group.pool, &self.group, REFUSED_TOLD_MAX).await?;
        self.generation.drop(lock).await?;
        for letter in &first {
            let Partition { topic, number: partition } = letter.partition;
            let (offset, error) = (letter.letter.offset, letter.error.as_str());
            self.progress.tell(&Line::Refused { topic, partition, offset, error });
        }
        self.progress.done(self.letters(&self.source.positions()), refused, waiting);
        match first.first() {
            None => Ok(()),
            Some(letter) => {
                let Partition { topic, number } = letter.partition;
                let (offset, error) = (letter.letter.offset, &letter.error);
                Err(Failure::Other(format!(
                    "{refused} letters were refused, and {waiting} later ones of their keys left out; all others are \
                     done. The first: {topic}, partition {number}, offset {offset}: {error}"
                )))
            }
        }
    }
}

/// Why a replay ends early. Nothing of it stays, but what an effect has made.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Kafka is away, or what is needed is not there.
    Kafka(String),
    /// The database is away.
    Database(String),
    /// Somebody holds a lock for long.
    Busy(String),
    /// The end of the process was requested.
    Ended,
    Other(String),
}

impl Failure {
    #[expect(clippy::needless_pass_by_value, reason = "it is for map_err")]
    fn kafka(error: rdkafka::error::KafkaError) -> Self {
        Self::Kafka(error.to_string())
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        let text = error.to_string();
        match &error {
            // SQLSTATE: 55P03 lock not available, 40P01 deadlock detected
            sqlx::Error::Database(refusal) if refusal.code().is_some_and(|code| code == "55P03" || code == "40P01") => {
                Self::Busy(text)
            }
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => Self::Database(text),
            _ => Self::Other(text),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Kafka(reason) => {
                Self::Unreachable(format!("KAFKA_BOOTSTRAP_SERVERS: {reason}; is Kafka up? Then begin again"))
            }
            Failure::Database(reason) => {
                Self::Unreachable(format!("DATABASE_URL: {reason}; is Postgres up? Then begin again"))
            }
            Failure::Busy(reason) => Self::TryAgain(format!("somebody works long on the tables: {reason}")),
            Failure::Ended => Self::other("replaying", "ended before it was done"),
            Failure::Other(reason) => Self::other("replaying", reason),
        }
    }
}
