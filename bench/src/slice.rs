//! A slice: some seconds in which one of the compared things is done by many clients at once, and what came of it.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// When orders leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Each client orders again as soon as it has an answer.
    Closed,
    /// So many a second, whether or not those before are answered. An order that finds no client free waits, and its waiting
    /// counts.
    Steady(u32),
}

/// The departures of a slice, which its clients share.
#[derive(Debug)]
pub struct Departures {
    pace: Pace,
    began: Instant,
    length: Duration,
    next: AtomicU64,
}

/// An order that is to leave.
#[derive(Debug, Clone, Copy)]
pub struct Departure {
    /// Counts from 0 within its slice.
    pub number: u64,
    /// When it was to leave. What is late counts as waiting for the answer, or the worst waits would be left out.
    pub due: Instant,
}

impl Departures {
    /// Begins now.
    pub fn begin(pace: Pace, length: Duration) -> Self {
        Self { pace, began: Instant::now(), length, next: AtomicU64::new(0) }
    }

    /// Waits for the next one; none when the slice is over. Waiting is as exact as the timer of tokio: 1 ms late at most.
    pub async fn next(&self) -> Option<Departure> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let due = match self.pace {
            Pace::Closed => Instant::now(),
            Pace::Steady(rate) => self.began + due_after(number, rate),
        };
        if due >= self.began + self.length {
            return None;
        }
        if self.pace != Pace::Closed {
            sleep_until(due).await;
        }
        Some(Departure { number, due })
    }

    /// How long ago it began.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}

/// When the departure with this number is due, after the beginning.
pub fn due_after(number: u64, rate: u32) -> Duration {
    const NANOS: u64 = 1_000_000_000;
    let rate = u64::from(rate);
    Duration::from_secs(number / rate) + Duration::from_nanos(number % rate * NANOS / rate)
}

/// What came of orders.
#[derive(Debug, Default)]
pub struct Tally {
    /// How long each waited that was taken, in microseconds.
    waits: Vec<u32>,
    /// Other answers, by status; 0 stands for none at all.
    others: BTreeMap<u16, u32>,
}

impl Tally {
    /// Counts an order that was taken.
    pub fn taken(&mut self, due: Instant) {
        self.waited(due.elapsed());
    }

    /// Counts one that waited so long.
    pub fn waited(&mut self, wait: Duration) {
        // an hour and more is an hour
        self.waits.push(u32::try_from(wait.as_micros()).unwrap_or(u32::MAX));
    }

    /// Counts one that was not.
    pub fn not_taken(&mut self, status: u16) {
        *self.others.entry(status).or_default() += 1;
    }

    /// Adds what another client counted.
    pub fn add(&mut self, other: Self) {
        self.waits.extend(other.waits);
        for (status, count) in other.others {
            *self.others.entry(status).or_default() += count;
        }
    }

    /// How many were taken.
    pub fn orders(&self) -> u32 {
        u32::try_from(self.waits.len()).expect("a slice is seconds long")
    }

    /// How many of these waited so long.
    pub fn within(&self, waits: Range<Duration>) -> u32 {
        let within = self.waits.iter().filter(|&&wait| waits.contains(&Duration::from_micros(wait.into())));
        u32::try_from(within.count()).expect("a slice is seconds long")
    }

    /// Answers other than the one hoped for, by status.
    pub fn others(&self) -> &BTreeMap<u16, u32> {
        &self.others
    }

    /// The waits below which a share lies, for each of these shares. Of nothing: 0.
    pub fn quantiles<const N: usize>(&mut self, shares: [f64; N]) -> [Duration; N] {
        self.waits.sort_unstable();
        shares.map(|share| Duration::from_micros(quantile(&self.waits, share).into()))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "an index into a list of measurements"
)]
fn quantile(sorted: &[u32], share: f64) -> u32 {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_a_wait_that_was_measured() {
        let hundred: Vec<u32> = (1..=100).collect();
        assert_eq!([0.5, 0.99, 0.999, 1.0].map(|share| quantile(&hundred, share)), [50, 99, 100, 100]);
        assert_eq!(quantile(&[], 0.5), 0);
    }

    #[test]
    fn a_steady_rate_drifts_by_nothing() {
        assert_eq!(due_after(3_000, 3_000), Duration::from_secs(1));
        assert_eq!(due_after(1, 3), Duration::from_nanos(333_333_333));
        assert_eq!(due_after(3_600 * 7, 7), Duration::from_hours(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_departure_that_nobody_was_free_for_counts_from_when_it_was_due() {
        let departures = Departures::begin(Pace::Steady(10), Duration::from_millis(250));
        tokio::time::advance(Duration::from_millis(240)).await;
        let mut tally = Tally::default();
        while let Some(departure) = departures.next().await {
            tally.taken(departure.due);
        }
        assert_eq!(tally.waits, [240_000, 140_000, 40_000]);
    }
}
