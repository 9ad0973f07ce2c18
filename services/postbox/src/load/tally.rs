//! Counting what a load came to, over all of it and second by second.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::client::Finished;
use crate::cli::By;

/// What was counted so far.
pub struct Tally {
    began: Instant,
    began_at: Timestamp,
    by: By,
    /// By the second in which the order was due.
    seconds: Vec<Second>,
    attempts: BTreeMap<String, u32>,
    last_ended: Instant,
    /// Since the last line of progress.
    recent: Second,
    sent_before: u32,
}

/// The orders of one second.
#[derive(Debug, Default)]
struct Second {
    /// Of the acknowledged ones, in microseconds.
    latencies: Vec<u64>,
    failed: u32,
}

/// What a load came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The door.
    pub by: String,
    /// When the first order was due.
    pub began_at: Timestamp,
    /// Orders per second that were asked for.
    pub rate: u32,
    /// Acknowledged orders per second, from the first order to the last answer.
    pub rate_reached: f64,
    /// From the first order to the last answer.
    pub seconds: f64,
    /// Orders that were sent.
    pub orders: u32,
    /// Orders whose fate the platform has told.
    pub acknowledged: u32,
    /// Orders that were given up, or refused for good without an order.
    pub failed: u32,
    /// Attempts by what they came to: a status, with the code of a problem; `no connection`; `no answer`.
    pub attempts: BTreeMap<String, u32>,
    /// The share of attempts that were no acknowledgement, 0 to 1.
    pub error_share: f64,
    /// From the time when an order was due to its acknowledgement, repetitions included. Null when there is none.
    pub p50_ms: Option<f64>,
    /// As `p50_ms`.
    pub p99_ms: Option<f64>,
    /// As `p50_ms`.
    pub max_ms: Option<f64>,
    /// By the second in which the orders were due.
    pub per_second: Vec<SecondReport>,
}

/// The orders of one second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SecondReport {
    /// From 0.
    pub second: usize,
    /// As in [`Report`].
    pub acknowledged: u32,
    /// As in [`Report`].
    pub failed: u32,
    /// As in [`Report`].
    pub p50_ms: Option<f64>,
    /// As in [`Report`].
    pub p99_ms: Option<f64>,
}

impl Tally {
    /// Nothing yet. The first order is due at `began`, which is `began_at` on the calendar.
    pub fn new(began: Instant, began_at: Timestamp, by: By) -> Self {
        Self {
            began,
            began_at,
            by,
            seconds: Vec::new(),
            attempts: BTreeMap::new(),
            last_ended: began,
            recent: Second::default(),
            sent_before: 0,
        }
    }

    /// The calendar's time of a moment.
    pub fn time_of(&self, moment: Instant) -> Timestamp {
        let since = SignedDuration::try_from(moment - self.began).unwrap_or(SignedDuration::MAX);
        self.began_at.saturating_add(since).unwrap_or(Timestamp::MAX)
    }

    /// Counts an order that has ended.
    pub fn count(&mut self, finished: Finished) {
        let second = usize::try_from((finished.due - self.began).as_secs()).expect("a load lasts minutes");
        if self.seconds.len() <= second {
            self.seconds.resize_with(second + 1, Second::default);
        }
        for into in [&mut self.seconds[second], &mut self.recent] {
            if finished.acknowledged.is_some() {
                into.latencies.push(u64::try_from((finished.ended - finished.due).as_micros()).unwrap_or(u64::MAX));
            } else {
                into.failed += 1;
            }
        }
        for attempt in finished.attempts {
            *self.attempts.entry(attempt).or_default() += 1;
        }
        self.last_ended = self.last_ended.max(finished.ended);
    }

    /// One line about what happened since the last one.
    pub fn last_second(&mut self, sent: u32, in_flight: usize) -> String {
        let Second { mut latencies, failed } = std::mem::take(&mut self.recent);
        let sent_now = sent - std::mem::replace(&mut self.sent_before, sent);
        latencies.sort_unstable();
        format!(
            "{sent_now:5} sent {:5} acknowledged {failed:3} failed {in_flight:5} in flight   p50 {}  p99 {}",
            latencies.len(),
            milliseconds(percentile(&latencies, 50)),
            milliseconds(percentile(&latencies, 99)),
        )
    }

    /// All of it, of `sent` orders at `rate` a second.
    pub fn report(mut self, sent: u32, rate: u32) -> Report {
        for second in &mut self.seconds {
            second.latencies.sort_unstable();
        }
        let mut latencies: Vec<u64> = self.seconds.iter().flat_map(|second| second.latencies.iter().copied()).collect();
        latencies.sort_unstable();
        let seconds = (self.last_ended - self.began).as_secs_f64();
        let acknowledged = count(&latencies);
        let attempts: u32 = self.attempts.values().sum();
        let errors = attempts.saturating_sub(acknowledged);
        Report {
            by: self.by.to_string(),
            began_at: self.began_at,
            rate,
            rate_reached: ratio(f64::from(acknowledged), seconds),
            seconds,
            orders: sent,
            acknowledged,
            failed: self.seconds.iter().map(|second| second.failed).sum(),
            attempts: self.attempts,
            error_share: ratio(f64::from(errors), f64::from(attempts)),
            p50_ms: percentile(&latencies, 50),
            p99_ms: percentile(&latencies, 99),
            max_ms: percentile(&latencies, 100),
            per_second: self.seconds.iter().enumerate().map(|(second, it)| it.report(second)).collect(),
        }
    }
}

impl Second {
    fn report(&self, second: usize) -> SecondReport {
        SecondReport {
            second,
            acknowledged: count(&self.latencies),
            failed: self.failed,
            p50_ms: percentile(&self.latencies, 50),
            p99_ms: percentile(&self.latencies, 99),
        }
    }
}

impl Display for Report {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "{} orders by {} in {:.1} s: {} acknowledged, {} failed, {:.1}/s reached of {}/s asked for",
            self.orders, self.by, self.seconds, self.acknowledged, self.failed, self.rate_reached, self.rate
        )?;
        writeln!(
            formatter,
            "answered after  p50 {}  p99 {}  at most {}",
            milliseconds(self.p50_ms),
            milliseconds(self.p99_ms),
            milliseconds(self.max_ms)
        )?;
        write!(formatter, "attempts, of which {:.2} % were no acknowledgement:", 100.0 * self.error_share)?;
        for (what, count) in &self.attempts {
            write!(formatter, "\n{count:9}  {what}")?;
        }
        Ok(())
    }
}

/// The smallest latency that `percent` of `sorted` do not exceed, in milliseconds; none of nothing.
fn percentile(sorted: &[u64], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    let micros = sorted.get(rank.max(1) - 1)?;
    Some(Duration::from_micros(*micros).as_secs_f64() * 1_000.0)
}

fn milliseconds(latency: Option<f64>) -> String {
    latency.map_or_else(|| "–".to_owned(), |latency| format!("{latency:.1} ms"))
}

fn count(latencies: &[u64]) -> u32 {
    u32::try_from(latencies.len()).expect("no more than were sent")
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::client::Acknowledged;
    use reqwest::StatusCode;

    fn finished(due: Instant, latency_ms: u64, attempts: &[&str]) -> Finished {
        let is_acknowledged = attempts.last().is_some_and(|last| *last == "201");
        Finished {
            customer: "a".to_owned(),
            key: "k".to_owned(),
            due,
            ended: due + Duration::from_millis(latency_ms),
            attempts: attempts.iter().map(|&attempt| attempt.to_owned()).collect(),
            acknowledged: is_acknowledged
                .then(|| Acknowledged { status: StatusCode::CREATED, order_id: "0198".to_owned() }),
        }
    }

    #[test]
    fn a_percentile_is_a_latency_that_was_measured() {
        let hundred: Vec<u64> = (1..=100).map(|milliseconds| milliseconds * 1_000).collect();
        assert_eq!(percentile(&hundred, 50), Some(50.0));
        assert_eq!(percentile(&hundred, 99), Some(99.0));
        assert_eq!(percentile(&hundred, 100), Some(100.0));
        assert_eq!(percentile(&hundred[..1], 50), Some(1.0));
        assert_eq!(percentile(&[], 99), None);
    }

    #[test]
    fn an_order_counts_in_the_second_in_which_it_was_due_however_late_its_answer() {
        let began = Instant::now();
        let mut tally = Tally::new(began, Timestamp::UNIX_EPOCH, By::Telephone);
        tally.count(finished(began, 5_000, &["503 unavailable", "201"]));
        tally.count(finished(began + Duration::from_millis(2_500), 10, &["201"]));
        tally.count(finished(began + Duration::from_millis(2_600), 10, &["no answer", "500 internal"]));
        let report = tally.report(3, 1);
        assert_eq!((report.acknowledged, report.failed), (2, 1));
        let by_second: Vec<_> = report.per_second.iter().map(|it| (it.acknowledged, it.failed, it.p99_ms)).collect();
        assert_eq!(by_second, [(1, 0, Some(5_000.0)), (0, 0, None), (1, 1, Some(10.0))]);
        assert!((report.error_share - 3.0 / 5.0).abs() < 1e-9);
        assert_eq!(report.attempts["201"], 2);
    }
}
