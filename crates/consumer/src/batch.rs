//! One transaction for many letters: the positions move and the effects are made, or nothing happens.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::{
    group::{Group, Partition},
    handler::HandlerError,
    letter::Letter,
    metrics::{self, Outcome},
    parked::Parking,
    position::{self, Move},
};

/// How long letters are done one by one before the member looks after its other work again.
const ONE_BY_ONE_MAX: Duration = Duration::from_secs(3);

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

/// Does the slices in one transaction; if that fails, letter by letter. Stops between two letters when `interrupt` is
/// cancelled.
pub(crate) async fn process(group: Arc<Group>, slices: Vec<Slice>, interrupt: CancellationToken) -> Vec<Progress> {
    let letters: usize = slices.iter().map(|slice| slice.letters.len()).sum();
    // a single letter goes straight to the way that knows what to do when it fails
    if letters > 1 {
        match apply(&group, slices.clone()).await {
            Ok(()) => return slices.iter().map(done).collect(),
            Err(Failure::Fenced) => return slices.into_iter().map(|slice| fenced(&group, slice)).collect(),
            Err(failure) => debug!(group = group.name, letters, ?failure, "a batch failed, doing it letter by letter"),
        }
    }
    let until = Instant::now() + ONE_BY_ONE_MAX;
    let mut progress = Vec::with_capacity(slices.len());
    for slice in slices {
        progress.push(one_by_one(&group, slice, &interrupt, until).await);
    }
    progress
}

fn done(slice: &Slice) -> Progress {
    Progress { partition: slice.partition, next: slice.as_move().to, left: Vec::new(), stop: None }
}

fn fenced(group: &Group, slice: Slice) -> Progress {
    let Partition { topic, number } = slice.partition;
    warn!(
        group = group.name,
        topic,
        partition = number,
        from = slice.from,
        "fenced: another member has moved the position"
    );
    metrics::add_fenced(group);
    Progress { partition: slice.partition, next: slice.from, left: slice.letters, stop: Some(Stop::Fenced) }
}

async fn one_by_one(group: &Arc<Group>, slice: Slice, interrupt: &CancellationToken, until: Instant) -> Progress {
    let Slice { partition, from: mut next, letters } = slice;
    for (index, letter) in letters.iter().enumerate() {
        let single = Slice { partition, from: next, letters: vec![letter.clone()] };
        let outcome = if interrupt.is_cancelled() || Instant::now() >= until {
            Err(Stop::Interrupted)
        } else {
            one(group, single.clone()).await
        };
        let left = || letters[index..].to_vec();
        match outcome {
            Ok(()) => next = letter.offset + 1,
            Err(Stop::Fenced) => return Progress { left: left(), ..fenced(group, single) },
            Err(stop) => return Progress { partition, next, left: left(), stop: Some(stop) },
        }
    }
    Progress { partition, next, left: Vec::new(), stop: None }
}

/// Does one letter: makes its effects, or parks it.
async fn one(group: &Arc<Group>, single: Slice) -> Result<(), Stop> {
    let mut outcome = apply(group, vec![single.clone()]).await;
    if let Err(Failure::Reject(error)) = outcome {
        outcome = park(group, single, error).await;
    }
    outcome.map_err(|failure| match failure {
        Failure::Fenced => Stop::Fenced,
        Failure::Full => Stop::Full,
        Failure::Retry(error) | Failure::Reject(error) => Stop::Outage(error),
    })
}

/// Makes the effects of the slices.
async fn apply(group: &Arc<Group>, slices: Vec<Slice>) -> Result<(), Failure> {
    let work = {
        let group = group.clone();
        async move {
            let mut tx = group.pool.begin().await?;
            let moves: Vec<Move> = slices.iter().map(Slice::as_move).collect();
            if !position::advance_in_tx(&mut tx, &group, &moves).await? {
                return Err(Failure::Fenced);
            }
            let mut parking = Parking::open_in_tx(&mut tx, &group, &slices).await?;
            let mut tally = Tally::new();
            for slice in &slices {
                for letter in &slice.letters {
                    let topic = slice.partition.topic;
                    let outcome = match letter.read() {
                        Ok(event) if !group.wants(topic, &event) => Outcome::Skipped,
                        Ok(_) if parking.is_blocked(topic, letter) => {
                            parking.add_behind_in_tx(&mut tx, slice.partition, letter).await?;
                            Outcome::Parked
                        }
                        Ok(event) => {
                            group.handle(topic, &mut tx, &event).await?;
                            Outcome::Applied
                        }
                        Err(unreadable) => {
                            parking.add_in_tx(&mut tx, slice.partition, letter, &unreadable.to_string()).await?;
                            Outcome::Parked
                        }
                    };
                    *tally.entry((topic, outcome)).or_default() += 1;
                }
            }
            tx.commit().await?;
            Ok(tally)
        }
    };
    count(group, uncut(group.config.transaction_deadline, work).await?);
    Ok(())
}

/// Parks a letter that its handler refuses, and moves on.
async fn park(group: &Arc<Group>, single: Slice, error: String) -> Result<(), Failure> {
    let work = {
        let group = group.clone();
        async move {
            let mut tx = group.pool.begin().await?;
            if !position::advance_in_tx(&mut tx, &group, &[single.as_move()]).await? {
                return Err(Failure::Fenced);
            }
            let letter = &single.letters[0];
            let mut parking = Parking::open_in_tx(&mut tx, &group, std::slice::from_ref(&single)).await?;
            parking.add_in_tx(&mut tx, single.partition, letter, &error).await?;
            tx.commit().await?;
            let Partition { topic, number } = single.partition;
            warn!(group = group.name, topic, partition = number, offset = letter.offset, error, "a letter is parked");
            Ok(Tally::from([((topic, Outcome::Parked), 1)]))
        }
    };
    count(group, uncut(group.config.transaction_deadline, work).await?);
    Ok(())
}

/// Counts what was committed.
fn count(group: &Group, tally: Tally) {
    for ((topic, outcome), letters) in tally {
        metrics::add_events(group, topic, outcome, letters);
    }
}

/// Runs database work to its end, whatever becomes of the caller: a future that is dropped gives its connection back
/// with an open transaction (sqlx #4385). After the deadline its outcome is unknown, which is an outage as any other:
/// the next try finds the position where it was, or is fenced.
pub(crate) async fn uncut<T: Send + 'static>(
    deadline: Duration,
    work: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::time::timeout(deadline, tokio::spawn(work)).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => Err(Failure::Retry(error.to_string())),
        Err(_) => Err(Failure::Retry(format!("the transaction took longer than {deadline:?}"))),
    }
}
