//! How far the groups have come that keep no rows: their positions are Kafka's own.

use std::collections::{BTreeMap, BTreeSet};

use rdkafka::ClientConfig;
use rdkafka::Offset;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::sources::Sources;
use super::topics::{BROKER_DEADLINE, refused};
use crate::failure::Failure;

/// A group and a partition that it reads. Names are those of the code, without the namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share {
    pub group: String,
    pub topic: String,
    pub partition: i32,
}

/// The first offset of each that has had no effect yet; nothing for a group that has committed none.
pub async fn positions(sources: &Sources, shares: BTreeSet<Share>) -> Result<BTreeMap<Share, i64>, Failure> {
    let (bootstrap, namespace) = (sources.bootstrap.clone(), sources.namespace.clone());
    // the client blocks
    let asking = tokio::task::spawn_blocking(move || {
        let mut positions = BTreeMap::new();
        for share in shares {
            if let Some(next) = position(&bootstrap, &namespace, &share)? {
                positions.insert(share, next);
            }
        }
        Ok(positions)
    });
    asking.await.map_err(|panic| Failure::found(format!("asking for offsets failed: {panic}")))?
}

/// Asks as the group, without joining it.
fn position(bootstrap: &str, namespace: &str, share: &Share) -> Result<Option<i64>, Failure> {
    let group: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", format!("{namespace}{}", share.group))
        .set("enable.auto.commit", "false")
        .create()
        .map_err(|error| refused(&error))?;
    let mut asked = TopicPartitionList::new();
    asked.add_partition(&format!("{namespace}{}", share.topic), share.partition);
    let told = group.committed_offsets(asked, BROKER_DEADLINE).map_err(|error| refused(&error))?;
    Ok(told.elements().first().and_then(|element| match element.offset() {
        Offset::Offset(next) => Some(next),
        _ => None,
    }))
}
