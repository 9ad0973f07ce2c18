//! Reading the platform's letters from Kafka, from a moment on.

use std::time::Duration;

use contracts::event::Event;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::metadata::MetadataTopic;
use rdkafka::{Offset, TopicPartitionList};
use tokio::time::{Instant, timeout_at};

use crate::failure::Failure;

const METADATA_DEADLINE: Duration = Duration::from_secs(10);

/// Reads what is put into some topics after it was opened. It belongs to no consumer group, so it takes nothing from
/// anybody.
pub struct Mailbox {
    consumer: StreamConsumer,
}

/// A letter and where it lay.
#[derive(Debug, Clone)]
pub struct Letter {
    pub topic: String,
    pub partition: i32,
    pub event: Event,
}

impl Mailbox {
    /// Takes its place at the end of every partition of `topics`.
    pub fn open(bootstrap: &str, topics: &[&str]) -> Result<Self, Failure> {
        let consumer: StreamConsumer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            // the client demands one, though nothing is stored under it
            .set("group.id", "postbox-cli")
            .set("enable.auto.commit", "false")
            .create()
            .map_err(|error| refused(&error))?;
        let mut places = TopicPartitionList::new();
        for topic in topics {
            let metadata = consumer.fetch_metadata(Some(topic), METADATA_DEADLINE).map_err(|error| refused(&error))?;
            for partition in metadata.topics().iter().flat_map(MetadataTopic::partitions) {
                let (_, end) = consumer
                    .fetch_watermarks(topic, partition.id(), METADATA_DEADLINE)
                    .map_err(|error| refused(&error))?;
                places
                    .add_partition_offset(topic, partition.id(), Offset::Offset(end))
                    .map_err(|error| refused(&error))?;
            }
        }
        consumer.assign(&places).map_err(|error| refused(&error))?;
        Ok(Self { consumer })
    }

    /// Reads until a letter about `subject` of type `event_type` comes, and shows `on_letter` every letter about it on the
    /// way. Fails when none comes within `deadline`.
    pub async fn wait_for(
        &self,
        subject: &str,
        event_type: &str,
        deadline: Duration,
        mut on_letter: impl FnMut(&Letter),
    ) -> Result<(), Failure> {
        let until = Instant::now() + deadline;
        loop {
            let Ok(message) = timeout_at(until, self.consumer.recv()).await else {
                let waited = deadline.as_secs();
                return Err(Failure::found(format!("no letter {event_type} about {subject} came within {waited} s")));
            };
            let letter = read(&message.map_err(|error| refused(&error))?)?;
            if letter.event.subject == subject {
                on_letter(&letter);
                if letter.event.event_type == event_type {
                    return Ok(());
                }
            }
        }
    }
}

fn read(message: &BorrowedMessage<'_>) -> Result<Letter, Failure> {
    let headers = message.headers().into_iter().flat_map(Headers::iter).map(|header| (header.key, header.value));
    let event = Event::from_kafka(message.key(), headers, message.payload()).map_err(|invalid| {
        let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
        Failure::found(format!("{topic}, partition {partition}, offset {offset} holds no letter: {invalid}"))
    })?;
    Ok(Letter { topic: message.topic().to_owned(), partition: message.partition(), event })
}

fn refused(error: &KafkaError) -> Failure {
    Failure::unreachable(format!("Kafka cannot be read: {error}"))
}
