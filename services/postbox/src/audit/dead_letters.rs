//! The copies of dead letters on their topics.

use std::collections::{BTreeMap, BTreeSet};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::BorrowedMessage;
use rdkafka::metadata::MetadataTopic;

use super::sources::Sources;
use super::topics::{self, BROKER_DEADLINE, drain};
use crate::failure::Failure;

/// Copies that are read. A platform with more of them has another trouble.
const COPIES_MAX: usize = 100_000;

/// How the name of every dead-letter topic ends.
const SUFFIX: &str = ".dlt";

/// Which letter a copy is of, and which group refused it. Names are those of the code, without the namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Copy {
    pub group: String,
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
}

/// Every copy on every dead-letter topic.
pub async fn copies(sources: &Sources) -> Result<BTreeSet<Copy>, Failure> {
    let consumer = topics::consumer(&sources.bootstrap)?;
    let namespace = sources.namespace.clone();
    // the client blocks
    let reading = tokio::task::spawn_blocking(move || read(&consumer, &namespace));
    reading.await.map_err(|panic| Failure::found(format!("reading the dead-letter topics failed: {panic}")))?
}

fn read(consumer: &BaseConsumer, namespace: &str) -> Result<BTreeSet<Copy>, Failure> {
    let metadata = consumer.fetch_metadata(None, BROKER_DEADLINE).map_err(|error| topics::refused(&error))?;
    let is_ours = |topic: &&MetadataTopic| topic.name().starts_with(namespace) && topic.name().ends_with(SUFFIX);
    let mut copies = BTreeSet::new();
    for topic in metadata.topics().iter().filter(is_ours) {
        let begins: BTreeMap<i32, i64> = topic.partitions().iter().map(|partition| (partition.id(), 0)).collect();
        drain(consumer, topic.name(), &begins, |message| {
            if copies.len() < COPIES_MAX {
                copies.extend(copy(message, namespace));
            }
            Ok(())
        })?;
    }
    Ok(copies)
}

/// What the headers of a copy say; `None` for what no consumer of ours has put there.
fn copy(message: &BorrowedMessage<'_>, namespace: &str) -> Option<Copy> {
    let header = |name: &str| topics::headers(message).find(|(known, _)| *known == name)?.1;
    let text = |name: &str| {
        let text = std::str::from_utf8(header(name)?).ok()?;
        Some(text.strip_prefix(namespace)?.to_owned())
    };
    Some(Copy {
        group: text("kafka_dlt-original-consumer-group")?,
        topic: text("kafka_dlt-original-topic")?,
        partition: i32::from_be_bytes(header("kafka_dlt-original-partition")?.try_into().ok()?),
        offset: i64::from_be_bytes(header("kafka_dlt-original-offset")?.try_into().ok()?),
    })
}
