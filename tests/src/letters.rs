//! Reading the topics as anybody may: from the beginning, in no group.

use std::time::Duration;

use contracts::{event::Event, topics::Topic};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::Headers,
};
use testkit::TestKafka;

/// How long the brokers may take to answer.
const BROKER: Duration = Duration::from_secs(10);

/// Every letter on `topic` right now, each partition in its order.
pub async fn on(kafka: &TestKafka, topic: Topic) -> Vec<Event> {
    let kafka = kafka.clone();
    let reading = tokio::task::spawn_blocking(move || read(&kafka, topic));
    reading.await.expect("reading does not panic")
}

/// The letters of one order on `topic`, in their order.
pub async fn of(kafka: &TestKafka, topic: Topic, subject: &str) -> Vec<Event> {
    on(kafka, topic).await.into_iter().filter(|event| event.subject == subject).collect()
}

fn read(kafka: &TestKafka, topic: Topic) -> Vec<Event> {
    let reader: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &kafka.bootstrap)
        .set("group.id", "a-reader-in-no-group")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "false")
        .create()
        .expect("the settings are right");
    let topic = kafka.topic(topic.name());
    let mut from_start = TopicPartitionList::new();
    let mut left = 0;
    for partition in 0..contracts::topics::PARTITIONS {
        let (low, high) = reader.fetch_watermarks(&topic, partition, BROKER).expect("the broker answers");
        left += high - low;
        from_start.add_partition_offset(&topic, partition, Offset::Beginning).expect("it is an offset");
    }
    reader.assign(&from_start).expect("the partitions are there");
    let mut letters = Vec::new();
    while left > 0 {
        let message = reader.poll(BROKER).expect("there are letters left").expect("they can be read");
        let headers = message.headers().into_iter().flat_map(Headers::iter).map(|header| (header.key, header.value));
        letters.push(Event::from_kafka(message.key(), headers, message.payload()).expect("it is a letter of ours"));
        left -= 1;
    }
    letters
}
