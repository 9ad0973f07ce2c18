//! What was read and what becomes of it: one transaction.

use std::{collections::BTreeMap, time::Duration};

use consumer::{DeadLetterCopy, Letter, dead_letter_topic};
use contracts::topics::{HIGH_VALUE_ORDERS, ORDERS};
use metrics::counter;
use rdkafka::message::{Header, OwnedHeaders};
use tokio::time::Instant;
use tracing::error;

use crate::high_value::{GROUP, Settings, pick};

/// The most letters that are read for one transaction.
const LETTERS_MAX: usize = 500;

/// So much is written in one transaction, and a record more.
const BYTES_MAX: usize = 1 << 20;

/// How long letters are waited for after the first: a transaction costs the broker the same whether it has one or many.
const LINGER: Duration = Duration::from_millis(100);

/// A letter with more bytes than this is not copied, only its place is told: brokers take 1 MiB with everything.
const COPY_BYTES_MAX: usize = 900 << 10;

/// Of an error so much is told.
const ERROR_CHARS_MAX: usize = 500;

/// Letters that were read, as what is to be written of them.
#[derive(Debug)]
pub(crate) struct Batch {
    pub records: Vec<Record>,
    /// For each partition the offset after the last letter that was read.
    pub next: BTreeMap<i32, i64>,
    /// How many letters came to which outcome.
    outcomes: BTreeMap<&'static str, u64>,
    letters: usize,
    bytes: usize,
    /// Since when it waits to be written.
    since: Option<Instant>,
}

/// One record to be written.
#[derive(Debug)]
pub(crate) struct Record {
    /// On the wire.
    pub topic: String,
    pub key: Option<Vec<u8>>,
    pub headers: OwnedHeaders,
    pub payload: Option<Vec<u8>>,
}

impl Batch {
    pub fn new() -> Self {
        Self {
            records: Vec::new(),
            next: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            letters: 0,
            bytes: 0,
            since: None,
        }
    }

    /// How long more letters may be waited for; none when it should be written now.
    pub fn wait(&self, idle: Duration) -> Option<Duration> {
        let Some(since) = self.since else { return Some(idle) };
        let is_full = self.letters >= LETTERS_MAX || self.bytes >= BYTES_MAX;
        LINGER.checked_sub(since.elapsed()).filter(|_| !is_full)
    }

    /// Takes a letter in.
    pub fn add(&mut self, settings: &Settings, partition: i32, letter: &Letter) {
        self.since.get_or_insert_with(Instant::now);
        self.letters += 1;
        self.next.insert(partition, letter.offset + 1);
        let picked = letter.read().map_err(Into::into).and_then(|event| pick(&event, &settings.threshold));
        let outcome = match picked {
            Ok(None) => "skipped",
            Ok(Some(event)) => {
                let headers = event
                    .to_headers()
                    .iter()
                    .fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(value) }));
                let (key, payload) = (Some(event.subject.into_bytes()), Some(event.payload));
                self.push(Record {
                    topic: settings.kafka.on_the_wire(HIGH_VALUE_ORDERS.name()),
                    key,
                    headers,
                    payload,
                });
                "applied"
            }
            Err(refusal) => {
                let error: String = refusal.to_string().chars().take(ERROR_CHARS_MAX).collect();
                error!(group = GROUP, partition, offset = letter.offset, error, "a letter is dead, the stream goes on");
                self.push(copy(settings, partition, letter, &error));
                "dead"
            }
        };
        *self.outcomes.entry(outcome).or_default() += 1;
    }

    fn push(&mut self, record: Record) {
        self.bytes += record.payload.as_ref().map_or(0, Vec::len);
        self.records.push(record);
    }

    pub fn has_dead_letters(&self) -> bool {
        self.outcomes.contains_key("dead")
    }

    /// To be called once, when it was written.
    pub fn count(&self) {
        for (outcome, letters) in &self.outcomes {
            counter!("consumer_events_total", "group" => GROUP, "topic" => ORDERS.name(), "outcome" => *outcome)
                .increment(*letters);
        }
    }
}

fn owned(part: Option<&[u8]>) -> Option<Vec<u8>> {
    part.map(<[u8]>::to_vec)
}

/// The copy of a dead letter.
fn copy(settings: &Settings, partition: i32, letter: &Letter, error: &str) -> Record {
    let from = settings.kafka.on_the_wire(ORDERS.name());
    let topic = dead_letter_topic(&from, GROUP);
    let group = settings.kafka.on_the_wire(GROUP);
    let size = letter.size();
    if size <= COPY_BYTES_MAX {
        let copy = DeadLetterCopy { letter, topic: &from, partition, group: &group, error, retry_count: 0 };
        return Record { topic, key: owned(letter.key()), headers: copy.headers(), payload: owned(letter.payload()) };
    }
    let place = Letter::new(letter.offset, None, [], None);
    let error = format!("{error} (with its {size} bytes too large to be copied: read it where it lies)");
    let copy = DeadLetterCopy { letter: &place, topic: &from, partition, group: &group, error: &error, retry_count: 0 };
    Record { topic, key: None, headers: copy.headers(), payload: None }
}
