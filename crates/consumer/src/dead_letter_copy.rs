//! What a dead letter looks like on its topic, and the making of that topic. The same whoever sends it: the consumers of this
//! crate, or a service that gives letters up by itself.

use std::time::Duration;

use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    message::{Header, OwnedHeaders},
    types::RDKafkaErrorCode,
};

use crate::letter::Letter;

/// A letter that is given up, and why.
#[derive(Debug, Clone, Copy)]
pub struct DeadLetterCopy<'a> {
    /// The letter.
    pub letter: &'a Letter,
    /// Where it lies: the topic, as it is called on the wire.
    pub topic: &'a str,
    /// Where it lies: the partition.
    pub partition: i32,
    /// The group that gave it up, as it is called on the wire.
    pub group: &'a str,
    /// What is wrong with it, in one line.
    pub error: &'a str,
    /// How often it was tried again.
    pub retry_count: i32,
}

impl DeadLetterCopy<'_> {
    /// The letter's own headers, its `traceparent` among them, and those of [`DeadLetterCopy::place`].
    pub fn headers(&self) -> OwnedHeaders {
        let place = self.place();
        self.letter
            .headers()
            .chain(place.iter().map(|(name, value)| (*name, Some(value.as_slice()))))
            .fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value }))
    }

    /// Where the letter lies and what became of it, in the headers that Spring adds: names and binary forms as in Spring for
    /// Apache Kafka 3, `KafkaHeaders` and `DeadLetterPublishingRecoverer` (numbers are big-endian, 4 bytes for a partition and
    /// 8 for an offset) and `RetryTopicHeaders` (attempts, 4 bytes).
    pub fn place(&self) -> [(&'static str, Vec<u8>); 6] {
        [
            ("kafka_dlt-original-topic", self.topic.as_bytes().to_vec()),
            ("kafka_dlt-original-partition", self.partition.to_be_bytes().to_vec()),
            ("kafka_dlt-original-offset", self.letter.offset.to_be_bytes().to_vec()),
            ("kafka_dlt-original-consumer-group", self.group.as_bytes().to_vec()),
            ("kafka_dlt-exception-message", self.error.as_bytes().to_vec()),
            ("retry_topic-attempts", self.retry_count.to_be_bytes().to_vec()),
        ]
    }
}

/// The topic of the letters of `topic` (as it is called on the wire) that `group` (without the namespace) gave up.
pub fn dead_letter_topic(topic: &str, group: &str) -> String {
    format!("{topic}.{group}.dlt")
}

/// Makes a dead-letter topic, unless there is one. One partition: dead letters are few, and read in the order in which they
/// died. Takes `deadline` at the most.
pub async fn make_dead_letter_topic(client: &ClientConfig, topic: &str, deadline: Duration) -> Result<(), String> {
    let admin: AdminClient<DefaultClientContext> = client.create().map_err(|error| error.to_string())?;
    // -1: as many replicas as the broker gives by default
    let wanted = NewTopic::new(topic, 1, TopicReplication::Fixed(-1));
    let options = AdminOptions::new().request_timeout(Some(deadline)).operation_timeout(Some(deadline));
    let outcome = admin.create_topics([&wanted], &options).await;
    tokio::task::spawn_blocking(move || drop(admin));
    match outcome.map_err(|error| error.to_string())?.into_iter().next() {
        Some(Err((_, code))) if code != RDKafkaErrorCode::TopicAlreadyExists => Err(format!("{topic}: {code}")),
        _ => Ok(()),
    }
}
