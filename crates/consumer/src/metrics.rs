//! What consumers tell about themselves. The names are documented at the crate's root.

use std::time::Duration;

use jiff::Timestamp;
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use service_runtime::clock::Clock;

use crate::group::Group;

/// What became of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    Applied,
    Skipped,
    Parked,
    Dead,
}

impl Outcome {
    const ALL: [Self; 4] = [Self::Applied, Self::Skipped, Self::Parked, Self::Dead];

    fn word(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Skipped => "skipped",
            Self::Parked => "parked",
            Self::Dead => "dead",
        }
    }
}

pub(crate) fn describe(group: &Group) {
    describe_counter!("consumer_events_total", "Letters by outcome: applied, skipped, parked, dead");
    describe_counter!("consumer_fenced_total", "Batches that another member had done already");
    describe_gauge!("consumer_lag_messages", "Letters between the position and the end, of this member's partitions");
    describe_gauge!("consumer_lag_seconds", "Age of the oldest letter that this member has fetched and not done");
    describe_histogram!("consumer_batch_seconds", "A transaction with the effects of some letters, that was committed");
    describe_histogram!("consumer_freshness_seconds", "From when a letter was written to the commit of its effect");
    describe_gauge!("consumer_parked", "Letters that wait or are being retried");
    describe_gauge!("consumer_dead", "Letters that wait for redrive or discard");
    describe_gauge!("consumer_partitions", "Partitions of this member");
    describe_gauge!("consumer_partitions_stopped", "Partitions of this member that are stopped");
    counter!("consumer_fenced_total", "group" => group.name).increment(0);
    for topic in group.topics() {
        for outcome in Outcome::ALL {
            add_events(group, topic, outcome, 0);
        }
    }
}

pub(crate) fn add_events(group: &Group, topic: &'static str, outcome: Outcome, letters: u64) {
    counter!("consumer_events_total", "group" => group.name, "topic" => topic, "outcome" => outcome.word())
        .increment(letters);
}

pub(crate) fn add_fenced(group: &Group) {
    counter!("consumer_fenced_total", "group" => group.name).increment(1);
}

/// How far this member is behind: in letters, and by when the oldest of those that it has was written.
#[expect(clippy::cast_precision_loss, reason = "a lag of 2^52 letters may be off by one")]
pub(crate) fn set_lag(group: &Group, topic: &'static str, letters: i64, oldest: Option<Timestamp>) {
    gauge!("consumer_lag_messages", "group" => group.name, "topic" => topic).set(letters as f64);
    let age = oldest.map_or(Duration::ZERO, age);
    gauge!("consumer_lag_seconds", "group" => group.name, "topic" => topic).set(age.as_secs_f64());
}

/// A batch was committed.
pub(crate) fn add_batch(group: &Group, took: Duration) {
    histogram!("consumer_batch_seconds", "group" => group.name).record(took);
}

/// The effect of a letter that was written then was committed.
pub(crate) fn add_fresh(group: &Group, topic: &'static str, written_at: Timestamp) {
    histogram!("consumer_freshness_seconds", "group" => group.name, "topic" => topic).record(age(written_at));
}

/// The clocks of two machines differ a little: what comes from the future is new.
fn age(written_at: Timestamp) -> Duration {
    Duration::try_from(Clock::System.now().duration_since(written_at)).unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "the table is bounded")]
pub(crate) fn set_parked(group: &Group, parked: i64, dead: i64) {
    gauge!("consumer_parked", "group" => group.name).set(parked as f64);
    gauge!("consumer_dead", "group" => group.name).set(dead as f64);
}

#[expect(clippy::cast_precision_loss, reason = "nobody has 2^52 partitions")]
pub(crate) fn set_partitions(group: &Group, owned: usize, stopped: usize) {
    gauge!("consumer_partitions", "group" => group.name).set(owned as f64);
    gauge!("consumer_partitions_stopped", "group" => group.name).set(stopped as f64);
}
