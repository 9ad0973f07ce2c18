//! A namespace of a test's own on the shared Kafka broker.

use local_servers::topics::{self, TopicSpec};

use crate::shared;

/// Where Kafka is, and a prefix for every topic and consumer group, so that tests do not see each other's letters.
#[derive(Debug, Clone)]
pub struct TestKafka {
    /// The bootstrap servers: `KAFKA_BOOTSTRAP_SERVERS` of a service under test.
    pub bootstrap: String,
    /// The prefix: `KAFKA_NAMESPACE` of a service under test.
    pub namespace: String,
}

/// The shared broker, with a namespace that no other test uses.
pub fn kafka() -> TestKafka {
    TestKafka { bootstrap: shared::kafka_bootstrap(), namespace: format!("{}.", shared::unique_prefix()) }
}

impl TestKafka {
    /// Makes the topic in this namespace and returns its name on the wire. It may exist already.
    pub async fn create_topic(&self, name: &str, partitions: i32) -> String {
        let topic = TopicSpec { name: self.topic(name), partitions };
        let created = topics::create(&self.bootstrap, 1, std::slice::from_ref(&topic)).await;
        created.unwrap_or_else(|error| panic!("{error}"));
        topic.name
    }

    /// The name on the wire of a topic in this namespace.
    pub fn topic(&self, name: &str) -> String {
        format!("{}{name}", self.namespace)
    }
}
