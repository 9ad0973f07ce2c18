//! What arrived on a topic.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use contracts::event::Event;
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{Consumer, StreamConsumer},
    message::{BorrowedMessage, Headers},
};
use tokio::time::{Instant, timeout_at};

use crate::world::TAKEOVER;

/// Reads a topic from its start and keeps what it sees.
pub struct Received {
    consumer: StreamConsumer,
    pub letters: Vec<Letter>,
}

pub struct Letter {
    pub partition: i32,
    pub event: Event,
}

impl Received {
    pub fn from_start(bootstrap: &str, topic: &str) -> Self {
        let consumer: StreamConsumer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("group.id", "unused")
            .set("enable.auto.commit", "false")
            .create()
            .unwrap();
        let mut partitions = TopicPartitionList::new();
        for partition in 0..6 {
            partitions.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
        }
        consumer.assign(&partitions).unwrap();
        Self { consumer, letters: Vec::new() }
    }

    /// Reads until the condition holds.
    #[track_caller]
    pub fn until(&mut self, what: &str, condition: impl Fn(&Self) -> bool) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let deadline = Instant::now() + TAKEOVER;
            while !condition(self) {
                let Ok(message) = timeout_at(deadline, self.consumer.recv()).await else {
                    panic!("{} letters, waited in vain until {what} ({caller})", self.letters.len());
                };
                // while the broker is away there are errors, which pass
                if let Ok(message) = message {
                    let letter = Letter { partition: message.partition(), event: event(&message) };
                    self.letters.push(letter);
                }
            }
        }
    }

    /// How many different letters there are.
    pub fn distinct(&self) -> usize {
        self.letters.iter().map(|letter| letter.event.id).collect::<HashSet<_>>().len()
    }

    /// How often a letter came.
    pub fn count(&self, event: &Event) -> usize {
        self.letters.iter().filter(|letter| letter.event.id == event.id).count()
    }

    /// Every expected letter (key, sequence) came, and no other.
    pub fn assert_complete(&self, expected: &[(String, i64)]) {
        let received: BTreeSet<_> = self.letters.iter().map(|letter| name(&letter.event)).collect();
        assert_eq!(received, expected.iter().cloned().collect());
    }

    /// The first occurrences of each key's letters have ascending sequence numbers without a gap.
    pub fn assert_in_order(&self) {
        let mut last: BTreeMap<&str, i64> = BTreeMap::new();
        for Letter { event, .. } in &self.letters {
            let last = last.entry(&event.subject).or_default();
            assert!(event.sequence <= *last + 1, "{} came before {}", event.sequence, *last + 1);
            *last = event.sequence.max(*last);
        }
    }
}

fn name(event: &Event) -> (String, i64) {
    (event.subject.clone(), event.sequence)
}

fn event(message: &BorrowedMessage<'_>) -> Event {
    let headers = message.headers().expect("every letter has headers");
    Event::from_kafka(message.key(), headers.iter().map(|header| (header.key, header.value)), message.payload())
        .unwrap()
}
