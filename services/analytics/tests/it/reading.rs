//! Reading a topic from its beginning, as anybody may.

use std::{collections::BTreeSet, time::Duration};

use consumer::Letter;
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
};
use testkit::TestKafka;

/// How long the broker may take to answer.
const BROKER: Duration = Duration::from_secs(20);

/// What a reader wants to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Nothing of a transaction that is open or was aborted.
    Committed,
    /// Whatever lies there.
    Uncommitted,
}

/// All that lies on a topic, each partition in its order. A topic that is not there has nothing.
pub async fn read(kafka: &TestKafka, topic: &str, partitions: i32, isolation: Isolation) -> Vec<Letter> {
    let reader = Reader::open(kafka, topic, partitions, isolation);
    tokio::task::spawn_blocking(move || reader.read_to_the_end()).await.expect("reading does not panic")
}

/// A reader that stands at the beginning of a topic.
pub struct Reader {
    consumer: BaseConsumer,
    partitions: usize,
}

impl Reader {
    pub fn open(kafka: &TestKafka, topic: &str, partitions: i32, isolation: Isolation) -> Self {
        let level = match isolation {
            Isolation::Committed => "read_committed",
            Isolation::Uncommitted => "read_uncommitted",
        };
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &kafka.bootstrap)
            .set("group.id", "a-reader-in-no-group")
            .set("enable.auto.commit", "false")
            .set("isolation.level", level)
            .set("enable.partition.eof", "true")
            // sees a letter as soon as it is there
            .set("fetch.wait.max.ms", "10")
            .create()
            .expect("the settings are right");
        let mut places = TopicPartitionList::new();
        for partition in 0..partitions {
            let place = places.add_partition_offset(&kafka.topic(topic), partition, Offset::Beginning);
            place.expect("it is an offset");
        }
        consumer.assign(&places).expect("the partitions are there");
        Self { consumer, partitions: places.count() }
    }

    fn read_to_the_end(&self) -> Vec<Letter> {
        let (mut letters, mut ended) = (Vec::new(), BTreeSet::new());
        while ended.len() < self.partitions {
            match self.consumer.poll(BROKER).expect("each partition ends") {
                Ok(message) => letters.push(Letter::from_kafka(&message)),
                Err(KafkaError::PartitionEOF(partition)) => {
                    ended.insert(partition);
                }
                Err(error) => panic!("{error}"),
            }
        }
        letters
    }

    /// Waits until the next letter comes. Blocks.
    pub fn next(&self) -> Letter {
        loop {
            match self.consumer.poll(BROKER).expect("there is a letter to come, or an end") {
                Ok(message) => return Letter::from_kafka(&message),
                Err(KafkaError::PartitionEOF(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}
