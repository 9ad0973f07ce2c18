//! Making Kafka's topics.

use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

use crate::Error;

const DEADLINE: Duration = Duration::from_secs(15);
const LEADER_POLL: Duration = Duration::from_millis(20);
const REPLICAS: i32 = 3;

/// A topic to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name on the wire.
    pub name: String,
    /// Its partitions. They never grow later: keys would move, and with them their order.
    pub partitions: i32,
}

/// Makes the topics that do not exist yet, each with three replicas or as many as there are brokers. A topic that exists
/// is left as it is. Returns when all of them can be read and written; 15 s for each of the two at the most.
pub async fn create(bootstrap: &str, brokers: u16, topics: &[TopicSpec]) -> Result<(), Error> {
    if topics.is_empty() {
        return Ok(());
    }
    let refused = |reason: String| Error::Kafka { doing: "make topics".to_owned(), reason };
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", bootstrap).create().map_err(|error| refused(error.to_string()))?;
    let replicas = REPLICAS.min(i32::from(brokers));
    let wanted: Vec<NewTopic<'_>> = topics
        .iter()
        .map(|topic| NewTopic::new(&topic.name, topic.partitions, TopicReplication::Fixed(replicas)))
        .collect();
    let options = AdminOptions::new().request_timeout(Some(DEADLINE)).operation_timeout(Some(DEADLINE));
    let outcomes = admin.create_topics(&wanted, &options).await.map_err(|error| refused(error.to_string()))?;
    for outcome in outcomes {
        match outcome {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => return Err(refused(format!("{topic}: {code}"))),
        }
    }
    let (bootstrap, topics) = (bootstrap.to_owned(), topics.to_vec());
    let waiting = tokio::task::spawn_blocking(move || wait_for_leaders(&bootstrap, &topics));
    waiting.await.map_err(|panic| refused(panic.to_string()))?.map_err(|error| refused(error.to_string()))
}

/// A topic that was just made has partitions without a leader for a moment, and who reads or writes it then is refused.
#[expect(clippy::disallowed_methods, reason = "the client blocks, so this runs on a thread of its own")]
fn wait_for_leaders(bootstrap: &str, topics: &[TopicSpec]) -> Result<(), KafkaError> {
    let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", bootstrap).create()?;
    let until = Instant::now() + DEADLINE;
    for topic in topics {
        for partition in 0..topic.partitions {
            while let Err(error) = client.fetch_watermarks(&topic.name, partition, DEADLINE) {
                if Instant::now() >= until {
                    return Err(error);
                }
                std::thread::sleep(LEADER_POLL);
            }
        }
    }
    Ok(())
}
