//! Transactions for many letters each: the positions move and the effects are made, or nothing happens.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use contracts::event::Event;
use service_runtime::{kill_point, telemetry};
use sqlx::{Connection, PgConnection};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, warn};

use crate::{
    group::{self, Group, Partition},
    handler::HandlerError,
    letter::Letter,
    metrics::{self, Outcome},
    parked::{self, BlockedKeys},
    position::{self, Advanced, Move},
    uncut::uncut,
};

/// How long letters are done before the member looks after its other work again.
const TIME_MAX: Duration = Duration::from_secs(3);

/// The next letters of a partition.
#[derive(Debug, Clone)]
pub(crate) struct Slice {
    pub partition: Partition,
    /// The group's position, as far as this member knows.
    pub from: i64,
    /// In their order; at least one.
    pub letters: Vec<Arc<Letter>>,
}

impl Slice {
    fn as_move(&self) -> Move {
        let last = self.letters.last().expect("a slice has letters");
        Move { partition: self.partition, from: self.from, to: last.offset + 1 }
    }
}

/// How far a slice came.
#[derive(Debug)]
pub(crate) struct Progress {
    pub partition: Partition,
    /// The group's position.
    pub next: i64,
    /// The letters that are still to be done.
    pub left: Vec<Arc<Letter>>,
    pub stop: Option<Stop>,
}

/// Why a slice did not come to its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It was asked to stop, or took its time.
    Interrupted,
    /// Another member has moved the position: what this one knows is out of date.
    Fenced,
    /// Something is away; the reason.
    Outage(String),
    /// A letter must be parked, and there is no room.
    Full,
}

/// Why a transaction was rolled back.
#[derive(Debug)]
pub(crate) enum Failure {
    Fenced,
    Full,
    Retry(String),
    Reject(String),
}

impl From<HandlerError> for Failure {
    fn from(error: HandlerError) -> Self {
        match error {
            HandlerError::Retry(_) => Self::Retry(error.text()),
            HandlerError::Reject(_) => Self::Reject(error.text()),
        }
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        // our own statements do not depend on what a letter says, so its data are not at fault
        Self::Retry(error.to_string())
    }
}

/// How many letters of each topic came to which outcome.
type Tally = BTreeMap<(&'static str, Outcome), u64>;

/// Does the slices, some letters of each in a transaction, as many as the group's pace says; if one fails, its letters one by
/// one. Stops between two transactions when `interrupt` is cancelled, or when it has taken its time.
pub(crate) async fn process(group: Arc<Group>, slices: Vec<Slice>, interrupt: CancellationToken) -> Vec<Progress> {
    let mut progress: Vec<Progress> = slices.into_iter().map(begun).collect();
    let until = Instant::now() + TIME_MAX;
    let mut is_first = true;
    loop {
        let portion = next_portion(&progress, group.pace.letters());
        if portion.is_empty() {
            return progress;
        }
        if interrupt.is_cancelled() || !is_first && Instant::now() >= until {
            going(&mut progress).for_each(|progress| progress.stop = Some(Stop::Interrupted));
            return progress;
        }
        is_first = false;
        for done in together(&group, portion, &interrupt).await {
            let whole = going(&mut progress).find(|whole| whole.partition == done.partition);
            whole.expect("a portion is of slices that go on").take_in(done);
        }
    }
}

/// A slice of which all is left.
fn begun(slice: Slice) -> Progress {
    Progress { partition: slice.partition, next: slice.from, left: slice.letters, stop: None }
}

/// The slices that nothing stops and that are not at their end.
fn going(progress: &mut [Progress]) -> impl Iterator<Item = &mut Progress> {
    progress.iter_mut().filter(|slice| slice.is_going())
}

impl Progress {
    fn is_going(&self) -> bool {
        self.stop.is_none() && !self.left.is_empty()
    }

    /// A portion of this came so far.
    fn take_in(&mut self, portion: Progress) {
        self.next = portion.next;
        self.left.retain(|letter| letter.offset >= portion.next);
        if matches!(portion.stop, Some(Stop::Fenced)) {
            // what this member knows is out of date
            self.left.clear();
        }
        self.stop = portion.stop;
    }
}

/// The next letters of each slice, about as many of each, so that a long one holds up no other.
fn next_portion(progress: &[Progress], letters_max: usize) -> Vec<Slice> {
    let going = progress.iter().filter(|slice| slice.is_going());
    let share = letters_max.div_ceil(going.clone().count().max(1));
    let slice = |slice: &Progress| Slice {
        partition: slice.partition,
        from: slice.next,
        letters: slice.left.iter().take(share).cloned().collect(),
    };
    going.map(slice).collect()
}

/// Does the slices in one transaction; if that fails, letter by letter.
async fn together(group: &Arc<Group>, slices: Vec<Slice>, interrupt: &CancellationToken) -> Vec<Progress> {
    let letters: usize = slices.iter().map(|slice| slice.letters.len()).sum();
    // a single letter goes straight to the way that knows what to do when it fails
    if letters > 1 {
        let began = Instant::now();
        let outcome = whole(group, apply(group.clone(), slices.clone())).await;
        group.pace.took(letters, began.elapsed());
        match outcome {
            Ok(()) => return slices.iter().map(|slice| ended(slice, slice.as_move().to, None)).collect(),
            Err(Failure::Fenced) => {
                return slices.iter().map(|slice| ended(slice, slice.from, Some(Stop::Fenced))).collect();
            }
            Err(failure) => debug!(group = group.name, letters, ?failure, "a batch failed, doing it letter by letter"),
        }
    }
    let until = Instant::now() + TIME_MAX;
    let mut progress = Vec::with_capacity(slices.len());
    for slice in slices {
        progress.push(one_by_one(group, slice, interrupt, until).await);
    }
    progress
}

/// A slice of which nothing is left, or nothing that may be used.
fn ended(slice: &Slice, next: i64, stop: Option<Stop>) -> Progress {
    Progress { partition: slice.partition, next, left: Vec::new(), stop }
}

async fn one_by_one(group: &Arc<Group>, slice: Slice, interrupt: &CancellationToken, until: Instant) -> Progress {
    let Slice { partition, from: mut next, letters } = slice;
    for (index, letter) in letters.iter().enumerate() {
        let outcome = if interrupt.is_cancelled() || Instant::now() >= until {
            Err(Stop::Interrupted)
        } else {
            one(group, Slice { partition, from: next, letters: vec![letter.clone()] }).await
        };
        if let Err(stop) = outcome {
            return Progress { partition, next, left: letters[index..].to_vec(), stop: Some(stop) };
        }
        next = letter.offset + 1;
    }
    Progress { partition, next, left: Vec::new(), stop: None }
}

/// Does one letter: makes its effects, or parks it.
async fn one(group: &Arc<Group>, single: Slice) -> Result<(), Stop> {
    let mut outcome = whole(group, apply(group.clone(), vec![single.clone()])).await;
    if let Err(Failure::Reject(error)) = outcome {
        outcome = whole(group, park(group.clone(), single, error)).await;
    }
    outcome.map_err(|failure| match failure {
        Failure::Fenced => Stop::Fenced,
        Failure::Full => Stop::Full,
        Failure::Retry(error) | Failure::Reject(error) => Stop::Outage(error),
    })
}

/// Runs a transaction to its end.
async fn whole(
    group: &Group,
    transaction: impl Future<Output = Result<(), Failure>> + Send + 'static,
) -> Result<(), Failure> {
    uncut(group.config.transaction_deadline, transaction).await.unwrap_or_else(|late| Err(Failure::Retry(late)))
}

/// Makes the effects of the slices.
async fn apply(group: Arc<Group>, slices: Vec<Slice>) -> Result<(), Failure> {
    let span = group.batch_span(slices.iter().map(|slice| slice.letters.len()).sum());
    let applied = make_effects(group, slices).instrument(span.clone()).await;
    if let Err(failure) = &applied {
        telemetry::failed(&span, format!("{failure:?}"));
    }
    applied
}

async fn make_effects(group: Arc<Group>, slices: Vec<Slice>) -> Result<(), Failure> {
    if slices.iter().flat_map(|slice| &slice.letters).all(|letter| letter.is_unwanted()) {
        return pass_by(&group, &slices).await;
    }
    let began = Instant::now();
    let mut connection = group.connection.take().await?;
    let mut tx = connection.begin().await?;
    let Advanced { has_parked } = advance(&mut tx, &group, &slices).await?;
    let mut blocked =
        if has_parked { BlockedKeys::read_in_tx(&mut tx, &group, &slices).await? } else { BlockedKeys::default() };
    let mut tally = Tally::new();
    let mut applied = Vec::new();
    // by topic: letters of one topic have one handler, and those of one key one topic
    let mut wanted: BTreeMap<&'static str, Vec<Event>> = BTreeMap::new();
    for slice in &slices {
        let topic = slice.partition.topic;
        for letter in &slice.letters {
            let (outcome, event) = look_in_tx(&mut tx, &group, slice.partition, letter, &mut blocked).await?;
            *tally.entry((topic, outcome)).or_default() += 1;
            if let Some(event) = event {
                applied.push((topic, letter.clone()));
                wanted.entry(topic).or_default().push(event);
            }
        }
    }
    for (topic, events) in wanted {
        group.handle_all(topic, &mut tx, events).await?;
    }
    let has_effects = !applied.is_empty();
    if has_effects {
        group::check_in_tx(&mut tx, &group).await?;
        kill_point!("consumer.applied.before-commit");
    }
    tx.commit().await?;
    group.connection.keep(connection);
    if has_effects {
        // the database knows the position, and Kafka does not: dying here repeats nothing all the same
        kill_point!("consumer.applied.after-commit");
        group.committed();
    }
    for ((topic, outcome), letters) in tally {
        metrics::add_events(&group, topic, outcome, letters);
    }
    metrics::add_batch(&group, began.elapsed());
    // what is built anew is old by nature
    if group.confined.is_none() {
        for (topic, letter) in applied {
            if let Some(written_at) = letter.time() {
                metrics::add_fresh(&group, topic, written_at);
            }
        }
    }
    Ok(())
}

/// Moves the group past letters of which it wants none. Nothing is made with the move, so it needs no transaction around it; where it
/// is fenced in one partition it may stand in another.
async fn pass_by(group: &Group, slices: &[Slice]) -> Result<(), Failure> {
    let began = Instant::now();
    let mut connection = group.connection.take().await?;
    advance(&mut connection, group, slices).await?;
    group.connection.keep(connection);
    for slice in slices {
        let letters = slice.letters.len().try_into().unwrap_or(u64::MAX);
        metrics::add_events(group, slice.partition.topic, Outcome::Skipped, letters);
    }
    metrics::add_batch(group, began.elapsed());
    Ok(())
}

/// Looks what is to become of a letter, and parks it if it must be. Gives what it says when it is to be handled.
async fn look_in_tx(
    conn: &mut PgConnection,
    group: &Group,
    partition: Partition,
    letter: &Letter,
    blocked: &mut BlockedKeys,
) -> Result<(Outcome, Option<Event>), Failure> {
    let topic = partition.topic;
    if letter.is_unwanted() {
        return Ok((Outcome::Skipped, None));
    }
    match letter.read() {
        Ok(event) if !group.wants(topic, &event.event_type) => Ok((Outcome::Skipped, None)),
        Ok(_) if blocked.contains(topic, letter) => {
            parked::park_behind_in_tx(conn, group, partition, letter).await?;
            Ok((Outcome::Parked, None))
        }
        Ok(event) => Ok((Outcome::Applied, Some(event))),
        Err(unreadable) => {
            parked::park_in_tx(conn, group, partition, letter, &unreadable.to_string()).await?;
            blocked.add(topic, letter);
            Ok((Outcome::Parked, None))
        }
    }
}

/// Parks a letter that its handler refuses.
async fn park(group: Arc<Group>, single: Slice, error: String) -> Result<(), Failure> {
    let Slice { partition, letters, .. } = &single;
    let Partition { topic, number } = *partition;
    let mut connection = group.connection.take().await?;
    let mut tx = connection.begin().await?;
    advance(&mut tx, &group, std::slice::from_ref(&single)).await?;
    parked::park_in_tx(&mut tx, &group, *partition, &letters[0], &error).await?;
    tx.commit().await?;
    group.connection.keep(connection);
    warn!(group = group.name, topic, partition = number, offset = letters[0].offset, error, "a letter is parked");
    metrics::add_events(&group, topic, Outcome::Parked, 1);
    Ok(())
}

/// Moves the group past these slices, or fails: where it is not where they begin, another member has moved it.
async fn advance(conn: &mut PgConnection, group: &Group, slices: &[Slice]) -> Result<Advanced, Failure> {
    let moves: Vec<Move> = slices.iter().map(Slice::as_move).collect();
    if let Some(advanced) = position::advance(conn, group, &moves).await? {
        return Ok(advanced);
    }
    warn!(group = group.name, ?moves, "fenced: another member has moved the position");
    metrics::add_fenced(group);
    Err(Failure::Fenced)
}
