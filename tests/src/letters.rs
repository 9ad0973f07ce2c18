//! Reading the topics as anybody may, from the beginning and in no group; and writing what nobody should.

use std::{collections::BTreeSet, time::Duration};

use contracts::{event::Event, topics::Topic};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::{Header, Headers, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use testkit::{SOON, TestKafka};

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

/// Puts anything on `topic`: the headers of `envelope`, its subject as the key, and any value.
pub async fn put(kafka: &TestKafka, topic: Topic, envelope: &Event, value: Option<&[u8]>) {
    put_with(&producer(kafka), kafka, topic, envelope, value).await;
}

/// Puts letters on `topic` as they are, in this order.
pub async fn put_all(kafka: &TestKafka, topic: Topic, letters: &[Event]) {
    let producer = producer(kafka);
    let putting = letters.iter().map(|letter| put_with(&producer, kafka, topic, letter, Some(&letter.payload)));
    futures::future::join_all(putting).await;
}

fn producer(kafka: &TestKafka) -> FutureProducer {
    ClientConfig::new()
        .set("bootstrap.servers", &kafka.bootstrap)
        .set("partitioner", "murmur2_random")
        .create()
        .expect("the settings are right")
}

async fn put_with(producer: &FutureProducer, kafka: &TestKafka, topic: Topic, envelope: &Event, value: Option<&[u8]>) {
    let headers = envelope.to_headers();
    let headers = headers
        .iter()
        .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }));
    let topic = kafka.topic(topic.name());
    let mut record = FutureRecord::to(&topic).key(envelope.subject.as_bytes()).headers(headers);
    record.payload = value;
    producer.send(record, SOON).await.expect("the broker takes it");
}

fn read(kafka: &TestKafka, topic: Topic) -> Vec<Event> {
    let reader: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &kafka.bootstrap)
        .set("group.id", "a-reader-in-no-group")
        .set("enable.auto.commit", "false")
        // tells where a partition ends: not every offset is a letter's, a transaction's end takes one as well
        .set("enable.partition.eof", "true")
        .create()
        .expect("the settings are right");
    let topic = kafka.topic(topic.name());
    let partitions = 0..contracts::topics::PARTITIONS;
    let mut from_start = TopicPartitionList::new();
    for partition in partitions.clone() {
        from_start.add_partition_offset(&topic, partition, Offset::Beginning).expect("it is an offset");
    }
    reader.assign(&from_start).expect("the partitions are there");
    let mut letters = Vec::new();
    // a partition that grows meanwhile ends more than once
    let mut ended = BTreeSet::new();
    while ended.len() < partitions.len() {
        let message = match reader.poll(BROKER).expect("each partition ends") {
            Err(KafkaError::PartitionEOF(partition)) => {
                ended.insert(partition);
                continue;
            }
            message => message.expect("it can be read"),
        };
        let headers = message.headers().into_iter().flat_map(Headers::iter).map(|header| (header.key, header.value));
        // what is no letter, a test has put there
        letters.extend(Event::from_kafka(message.key(), headers, message.payload()));
    }
    letters
}
