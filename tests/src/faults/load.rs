//! The load that runs while a row does its harm: the real `postbox load`, and its journal, read while it is written.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use postbox::load::{Entry, Report};
use testkit::{SOON, eventually};

use super::LoadWishes;
use crate::command_line::{CommandLine, Running};

/// Longer than any row; the harness ends it before.
const TIME_MAX: &str = "10m";

/// Enough for all orders of the telephone's 5 s, whatever the rate.
const IN_FLIGHT_MAX: &str = "5000";

/// Customers' answers are measured in windows of this length.
const WINDOW: SignedDuration = SignedDuration::from_secs(1);

/// How far apart windows begin.
const STEP: SignedDuration = SignedDuration::from_millis(100);

/// What nobody notices, however quick the answers were before: on a busy machine a p99 over one second doubles by itself.
pub const UNNOTICED_MS: f64 = 250.0;

/// A load under way.
#[derive(Debug)]
pub struct Load {
    /// None once it has ended.
    running: Option<Running>,
    wishes: LoadWishes,
    journal: PathBuf,
    file: File,
    /// What was read of a line that is not complete yet.
    rest: Vec<u8>,
    entries: Vec<Entry>,
}

impl Load {
    /// Starts it, and returns when the first orders are acknowledged.
    pub async fn start(command_line: &CommandLine, wishes: LoadWishes, journal: &Path) -> Self {
        let (rate, by) = (wishes.rate.to_string(), wishes.by.to_string());
        let mut arguments = vec!["load", "--json", "--for", TIME_MAX, "--in-flight", IN_FLIGHT_MAX];
        arguments.extend(["--rate", &rate, "--by", &by, "--journal"]);
        arguments.push(journal.to_str().expect("a temporary folder has a plain name"));
        arguments.extend(wishes.cards.iter().flat_map(|card| ["--card", card]));
        let mut running = command_line.start(&arguments);
        eventually(SOON, "the load begins", async || {
            running.check_alive();
            std::fs::metadata(journal).is_ok_and(|journal| journal.len() > 0)
        })
        .await;
        let file = File::open(journal).expect("it is there");
        Self {
            running: Some(running),
            wishes,
            journal: journal.to_owned(),
            file,
            rest: Vec::new(),
            entries: Vec::new(),
        }
    }

    /// Where the acknowledgements are written down.
    pub fn journal(&self) -> &Path {
        &self.journal
    }

    /// What was acknowledged so far.
    pub fn acknowledged(&mut self) -> &[Entry] {
        let mut new = Vec::new();
        self.file.read_to_end(&mut new).expect("the journal is readable");
        self.rest.extend(new);
        let complete = self.rest.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        let lines = self.rest.drain(..complete).collect::<Vec<_>>();
        for line in lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            self.entries.push(serde_json::from_slice(line).expect("the journal holds entries"));
        }
        &self.entries
    }

    /// How the orders fared that were due between two moments.
    pub fn between(&mut self, from: Timestamp, to: Timestamp) -> Window {
        let mut latencies = Vec::new();
        let mut attempts = 0;
        for entry in self.acknowledged() {
            if (from..to).contains(&due(entry)) {
                latencies.push(entry.latency_us);
                attempts += entry.attempts;
            }
        }
        latencies.sort_unstable();
        Window { latencies, attempts }
    }

    /// How long after `moment` a second begins in which all orders are answered as quickly as is `usual`, p99 in ms. None
    /// when there was none so far.
    pub fn recovered_after(&mut self, moment: Timestamp, usual_p99_ms: f64) -> Option<Duration> {
        let limit = (2.0 * usual_p99_ms).max(UNNOTICED_MS);
        let rate = usize::from(self.wishes.rate);
        let last = self.acknowledged().iter().map(due).max()?;
        let mut from = moment;
        while from + WINDOW <= last {
            let window = self.between(from, from + WINDOW);
            // one less: where a window begins, an order may just have left
            if window.orders() + 1 >= rate && window.p99_ms().is_some_and(|p99| p99 <= limit) {
                return Some((from - moment).try_into().expect("windows begin later"));
            }
            from += STEP;
        }
        None
    }

    /// Sends no more, waits for all answers, and gives the load's own figures.
    pub async fn end(&mut self) -> Report {
        let running = self.running.take().expect("it ends once");
        running.interrupt();
        let said = running.result().await;
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("the load told no figures ({error}): {said}"))
    }
}

/// The orders that were due in some time, and acknowledged.
#[derive(Debug)]
pub struct Window {
    /// Sorted, in microseconds.
    latencies: Vec<u64>,
    attempts: usize,
}

impl Window {
    /// How many.
    pub fn orders(&self) -> usize {
        self.latencies.len()
    }

    /// The latency that one in a hundred exceeds.
    pub fn p99_ms(&self) -> Option<f64> {
        let rank = (self.latencies.len() * 99).div_ceil(100);
        let micros = *self.latencies.get(rank.checked_sub(1)?)?;
        Some(Duration::from_micros(micros).as_secs_f64() * 1_000.0)
    }

    /// The share of their attempts that were in vain, 0 to 1.
    pub fn error_share(&self) -> f64 {
        let share = |part: usize, whole: usize| {
            let number = |count| f64::from(u32::try_from(count).expect("a row orders thousands"));
            if whole == 0 { 0.0 } else { number(part) / number(whole) }
        };
        share(self.attempts - self.orders(), self.attempts)
    }
}

fn due(entry: &Entry) -> Timestamp {
    entry.at - SignedDuration::from_micros(i64::try_from(entry.latency_us).expect("a row lasts minutes"))
}
