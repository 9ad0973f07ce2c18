//! How far a group has come that keeps no rows: its positions are Kafka's own.

use std::collections::{BTreeMap, BTreeSet};

use rdkafka::consumer::Consumer;
use rdkafka::{Offset, TopicPartitionList};

use super::sources::Sources;
use super::topics::{self, BROKER_DEADLINE, refused};
use crate::failure::Failure;

/// The first offset that has had no effect yet, by topic and partition, where the group has committed one. Names are those of
/// the code, without the namespace.
pub async fn positions(
    sources: &Sources,
    group: &str,
    partitions: BTreeSet<(String, i32)>,
) -> Result<BTreeMap<(String, i32), i64>, Failure> {
    let client = topics::consumer_as(&sources.bootstrap, &sources.on_the_wire(group))?;
    let mut asked = TopicPartitionList::new();
    for (topic, partition) in &partitions {
        asked.add_partition(&sources.on_the_wire(topic), *partition);
    }
    // the client blocks
    let asking = tokio::task::spawn_blocking(move || client.committed_offsets(asked, BROKER_DEADLINE));
    let told = asking.await.map_err(|panic| Failure::found(format!("asking for offsets failed: {panic}")))?;
    let told = told.map_err(|error| refused(&error))?;
    let position = |(topic, partition): (String, i32)| {
        let element = told.find_partition(&sources.on_the_wire(&topic), partition)?;
        match element.offset() {
            Offset::Offset(next) => Some(((topic, partition), next)),
            _ => None,
        }
    };
    Ok(partitions.into_iter().filter_map(position).collect())
}
