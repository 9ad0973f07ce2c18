//! Reading the topics from a mark to their ends, in no group, so that nobody notices.

use std::collections::{BTreeMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use contracts::event::Event;
use contracts::topics::PARTITIONS;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{Offset, TopicPartitionList};
use uuid::Uuid;

use super::case::{Kind, Letter};
use super::outboxes::OUTBOXES;
use super::sorter::{Sorted, Sorter};
use super::sources::Sources;
use crate::failure::Failure;

/// How long a broker may take to answer.
pub const BROKER_DEADLINE: Duration = Duration::from_secs(10);

/// How far the clocks of a database and of a relay may be apart.
const CLOCKS_SECONDS: f64 = 60.0;

/// What is no letter is listed up to so many.
const UNREADABLE_MAX: usize = 10_000;

/// A letter as bytes: its order, then all of [`Letter`], in the order in which the letters of an order are sorted.
const RECORD: usize = 16 + 1 + 4 + 8 + 16 + 8 + 1 + 8;

/// What lay on the topics.
#[derive(Debug)]
pub struct Post {
    /// The letters, each with what it is about.
    pub letters: Letters,
    /// What is no letter: topic, partition, offset.
    pub unreadable: Vec<(u8, i32, i64)>,
    /// By topic and partition: the offset after the last.
    pub ends: BTreeMap<(u8, i32), i64>,
    /// By topic: since when every letter that was put there is still there and was read, in seconds since 1970; 0: since ever.
    pub since: BTreeMap<u8, f64>,
}

/// Letters sorted by what they are about; those about one in the order in which they lie on their topics.
#[derive(Debug)]
pub struct Letters(Sorted<RECORD>);

impl Iterator for Letters {
    type Item = Result<(Uuid, Letter), Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.0.next()?.map(|record| from_bytes(&record)).map_err(|error| full(&error)))
    }
}

/// Which letters are read.
#[derive(Debug, Clone)]
pub enum Which {
    /// Those that were put there since this time, in milliseconds since 1970; none: all.
    Since(Option<i64>),
    /// All about these orders and accounts.
    About(HashSet<Uuid>),
    /// None: only the ends are asked for.
    None,
}

/// Reads every topic that a relay fills.
pub async fn read(sources: &Sources, which: Which) -> Result<Post, Failure> {
    let consumer = consumer(&sources.bootstrap)?;
    let topics = OUTBOXES.map(|outbox| sources.on_the_wire(outbox.topic.name()));
    // the client blocks
    let reading = tokio::task::spawn_blocking(move || Reading::new(which).all(&consumer, &topics));
    reading.await.map_err(|panic| Failure::found(format!("reading the topics failed: {panic}")))?
}

/// A consumer that belongs to no group. Of Kafka transactions it sees what was committed.
pub fn consumer(bootstrap: &str) -> Result<BaseConsumer, Failure> {
    // the client demands one, though nothing is stored under it
    consumer_as(bootstrap, "postbox-cli")
}

/// As [`consumer`]; what it asks about offsets, it asks as this group, without joining it.
pub fn consumer_as(bootstrap: &str, group: &str) -> Result<BaseConsumer, Failure> {
    ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true")
        // what is there is all that is read: a broker that waits for more keeps the next question waiting as well
        .set("fetch.wait.max.ms", "10")
        .create()
        .map_err(|error| refused(&error))
}

/// Reads a topic from `begins` to the end that it has now, and gives every message to `take`. The ends, by partition.
pub fn drain(
    consumer: &BaseConsumer,
    topic: &str,
    begins: &BTreeMap<i32, i64>,
    mut take: impl FnMut(&BorrowedMessage<'_>) -> Result<(), Failure>,
) -> Result<BTreeMap<i32, i64>, Failure> {
    let ends = offsets(consumer, topic, begins.keys().copied(), Offset::End)?;
    let mut places = TopicPartitionList::new();
    let mut left = HashSet::new();
    for (&partition, &begin) in begins {
        if begin < ends[&partition] {
            places.add_partition_offset(topic, partition, Offset::Offset(begin)).map_err(|error| refused(&error))?;
            left.insert(partition);
        }
    }
    consumer.assign(&places).map_err(|error| refused(&error))?;
    while !left.is_empty() {
        match consumer.poll(BROKER_DEADLINE) {
            Some(Ok(message)) => {
                let partition = message.partition();
                // later ones are for the next audit
                if message.offset() < ends[&partition] {
                    take(&message)?;
                }
                if message.offset() + 1 >= ends[&partition] {
                    left.remove(&partition);
                }
            }
            // the last places of a partition may be marks of transactions, which nobody is given
            Some(Err(KafkaError::PartitionEOF(partition))) => drop(left.remove(&partition)),
            Some(Err(error)) => return Err(refused(&error)),
            None => {
                let seconds = BROKER_DEADLINE.as_secs();
                return Err(Failure::unreachable(format!("Kafka gave nothing of {topic} for {seconds} s")));
            }
        }
    }
    Ok(ends)
}

/// Where the beginning, the end, or a time in milliseconds since 1970 is in each of these partitions. Asked for all of them at
/// once: each question may wait behind a fetch. A time that nothing is newer than is nowhere: `i64::MAX`.
fn offsets(
    consumer: &BaseConsumer,
    topic: &str,
    partitions: impl Iterator<Item = i32>,
    at: Offset,
) -> Result<BTreeMap<i32, i64>, Failure> {
    let mut places = TopicPartitionList::new();
    for partition in partitions {
        places.add_partition_offset(topic, partition, at).map_err(|error| refused(&error))?;
    }
    // ListOffsets of Kafka's protocol takes -1 and -2, which are the client's end and beginning, for times
    let found = consumer.offsets_for_times(places, BROKER_DEADLINE).map_err(|error| refused(&error))?;
    let offset = |element: TopicPartitionListElem<'_>| {
        element.error().map_err(|error| refused(&error))?;
        let offset = match element.offset() {
            Offset::Offset(offset) => offset,
            _ => i64::MAX,
        };
        Ok((element.partition(), offset))
    };
    found.elements().into_iter().map(offset).collect()
}

struct Reading {
    which: Which,
    sorter: Sorter<RECORD>,
    unreadable: Vec<(u8, i32, i64)>,
    ends: BTreeMap<(u8, i32), i64>,
    since: BTreeMap<u8, f64>,
    /// Partitions whose first letters are gone, until the first that is there is seen.
    cut: HashSet<(u8, i32)>,
}

impl Reading {
    fn new(which: Which) -> Self {
        let (unreadable, ends, since, cut) = (Vec::new(), BTreeMap::new(), BTreeMap::new(), HashSet::new());
        Self { which, sorter: Sorter::new(), unreadable, ends, since, cut }
    }

    fn all(mut self, consumer: &BaseConsumer, topics: &[String]) -> Result<Post, Failure> {
        for (place, topic) in (0_u8..).zip(topics) {
            let begins = self.begins(consumer, place, topic)?;
            let ends = drain(consumer, topic, &begins, |message| self.take(place, message))?;
            self.ends.extend(ends.into_iter().map(|(partition, end)| ((place, partition), end)));
        }
        let Self { sorter, unreadable, ends, since, .. } = self;
        Ok(Post { letters: Letters(sorter.sorted().map_err(|error| full(&error))?), unreadable, ends, since })
    }

    fn begins(&mut self, consumer: &BaseConsumer, place: u8, topic: &str) -> Result<BTreeMap<i32, i64>, Failure> {
        let partitions = 0..PARTITIONS;
        match self.which {
            Which::None => Ok(partitions.map(|partition| (partition, i64::MAX)).collect()),
            Which::Since(Some(since)) => {
                self.since.insert(place, seconds(since) + CLOCKS_SECONDS);
                offsets(consumer, topic, partitions, Offset::Offset(since))
            }
            Which::Since(None) | Which::About(_) => {
                let begins = offsets(consumer, topic, partitions, Offset::Beginning)?;
                self.since.insert(place, 0.0);
                let cut = begins.iter().filter(|(_, begin)| **begin > 0).map(|(partition, _)| (place, *partition));
                self.cut.extend(cut);
                Ok(begins)
            }
        }
    }

    fn take(&mut self, topic: u8, message: &BorrowedMessage<'_>) -> Result<(), Failure> {
        let put_at_ms = message.timestamp().to_millis().unwrap_or_default();
        if self.cut.remove(&(topic, message.partition())) {
            let since = self.since.entry(topic).or_default();
            *since = since.max(seconds(put_at_ms));
        }
        let event = Event::from_kafka(message.key(), headers(message), message.payload()).ok();
        let read = event.and_then(|event| Some((event.subject.parse::<Uuid>().ok()?, event)));
        let Some((about, event)) = read else {
            if self.unreadable.len() < UNREADABLE_MAX {
                self.unreadable.push((topic, message.partition(), message.offset()));
            }
            return Ok(());
        };
        if matches!(&self.which, Which::About(wanted) if !wanted.contains(&about)) {
            return Ok(());
        }
        let letter = Letter {
            topic,
            partition: message.partition(),
            offset: message.offset(),
            event_id: event.id,
            sequence: event.sequence,
            kind: Kind::of(&event.event_type),
            put_at_ms,
        };
        self.sorter.push(to_bytes(about, &letter)).map_err(|error| full(&error))
    }
}

/// A message's headers, without those whose names are no UTF-8: the client panics on them, and none that matters has such a
/// name.
pub fn headers<'a>(message: &'a BorrowedMessage<'_>) -> impl Iterator<Item = (&'a str, Option<&'a [u8]>)> {
    message.headers().into_iter().flat_map(|headers| {
        (0..headers.count()).filter_map(|index| {
            let header = catch_unwind(AssertUnwindSafe(|| headers.get(index))).ok()?;
            Some((header.key, header.value))
        })
    })
}

/// Milliseconds as seconds.
#[expect(clippy::cast_precision_loss, reason = "a time in this millennium fits into 52 bits")]
pub fn seconds(milliseconds: i64) -> f64 {
    milliseconds as f64 / 1_000.0
}

/// Kafka did not tell.
pub fn refused(error: &KafkaError) -> Failure {
    Failure::unreachable(format!("Kafka cannot be read: {error}"))
}

fn full(error: &std::io::Error) -> Failure {
    Failure::unreachable(format!("the folder for temporary files cannot be used: {error}"))
}

fn to_bytes(about: Uuid, letter: &Letter) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    record[..16].copy_from_slice(about.as_bytes());
    record[16] = letter.topic;
    record[17..21].copy_from_slice(&letter.partition.to_be_bytes());
    record[21..29].copy_from_slice(&letter.offset.to_be_bytes());
    record[29..45].copy_from_slice(letter.event_id.as_bytes());
    record[45..53].copy_from_slice(&letter.sequence.to_be_bytes());
    let kind = Kind::ALL.iter().position(|kind| *kind == letter.kind).expect("all kinds are there");
    record[53] = u8::try_from(kind).expect("a few kinds");
    record[54..62].copy_from_slice(&letter.put_at_ms.to_be_bytes());
    record
}

fn from_bytes(record: &[u8; RECORD]) -> (Uuid, Letter) {
    let number = |at: usize| i64::from_be_bytes(record[at..at + 8].try_into().expect("eight bytes"));
    let id = |at: usize| Uuid::from_slice(&record[at..at + 16]).expect("sixteen bytes");
    let letter = Letter {
        topic: record[16],
        partition: i32::from_be_bytes(record[17..21].try_into().expect("four bytes")),
        offset: number(21),
        event_id: id(29),
        sequence: number(45),
        kind: Kind::ALL[usize::from(record[53])],
        put_at_ms: number(54),
    };
    (id(0), letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_of_one_order_are_sorted_as_they_lie_and_survive_the_way_through_a_file() {
        let about = Uuid::now_v7();
        let letter = |offset| Letter {
            topic: 3,
            partition: 5,
            offset,
            event_id: Uuid::now_v7(),
            sequence: 2,
            kind: Kind::ShipmentDelivered,
            put_at_ms: 1_700_000_000_000,
        };
        let (one, other) = (letter(9), letter(10));
        assert!(to_bytes(about, &one) < to_bytes(about, &other));
        assert_eq!(from_bytes(&to_bytes(about, &one)), (about, one));
    }
}
