//! Reading the topics as anybody may, from the beginning and in no group; and writing what nobody should.

use std::{collections::BTreeSet, time::Duration};

use contracts::{event::Event, topics::Topic};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::{BorrowedMessage, Header, Headers, OwnedHeaders},
    metadata::MetadataTopic,
    producer::{FutureProducer, FutureRecord},
};
use testkit::{SOON, TestKafka};

/// How long the brokers may take to answer.
const BROKER: Duration = Duration::from_secs(10);

/// Every letter on `topic` right now, each partition in its order.
pub async fn on(kafka: &TestKafka, topic: Topic) -> Vec<Event> {
    let kafka = kafka.clone();
    let reading = tokio::task::spawn_blocking(move || {
        read(&kafka, &kafka.topic(topic.name()), |message| {
            let headers = message.headers().into_iter().flat_map(Headers::iter);
            let headers = headers.map(|header| (header.key, header.value));
            // what is no letter, a test has put there
            Event::from_kafka(message.key(), headers, message.payload()).ok()
        })
    });
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

/// All that lies on the topics of a platform right now, dead letters among it and what is no letter: of each message its key, its
/// headers and its value, one after another as they are, by topic.
pub async fn raw(kafka: &TestKafka) -> Vec<(String, Vec<u8>)> {
    let kafka = kafka.clone();
    let reading = tokio::task::spawn_blocking(move || {
        let metadata = reader(&kafka).fetch_metadata(None, BROKER).expect("the broker tells its topics");
        let topics = metadata.topics().iter().map(MetadataTopic::name);
        let topics: Vec<String> =
            topics.filter(|topic| topic.starts_with(&kafka.namespace)).map(str::to_owned).collect();
        let everything = |message: &BorrowedMessage<'_>| {
            let headers = message.headers().into_iter().flat_map(Headers::iter);
            let headers = headers.flat_map(|header| [header.key.as_bytes(), header.value.unwrap_or_default()]);
            let key_and_value = [message.key().unwrap_or_default(), message.payload().unwrap_or_default()];
            key_and_value.into_iter().chain(headers).collect::<Vec<_>>().concat()
        };
        let of_topic = |topic: String| {
            let messages = read(&kafka, &topic, |message| Some(everything(message)));
            messages.into_iter().map(move |message| (topic.clone(), message)).collect::<Vec<_>>()
        };
        topics.into_iter().flat_map(of_topic).collect()
    });
    reading.await.expect("reading does not panic")
}

fn reader(kafka: &TestKafka) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", &kafka.bootstrap)
        .set("group.id", "a-reader-in-no-group")
        .set("enable.auto.commit", "false")
        // tells where a partition ends: not every offset is a letter's, a transaction's end takes one as well
        .set("enable.partition.eof", "true")
        .create()
        .expect("the settings are right")
}

/// What `take` makes of every message that is on a topic of this name on the wire.
fn read<T>(kafka: &TestKafka, topic: &str, take: impl Fn(&BorrowedMessage<'_>) -> Option<T>) -> Vec<T> {
    let reader = reader(kafka);
    let metadata = reader.fetch_metadata(Some(topic), BROKER).expect("the broker knows the topic");
    let partitions = metadata.topics().iter().map(|topic| topic.partitions().len()).sum::<usize>();
    let mut from_start = TopicPartitionList::new();
    for partition in 0..i32::try_from(partitions).expect("few partitions") {
        from_start.add_partition_offset(topic, partition, Offset::Beginning).expect("it is an offset");
    }
    reader.assign(&from_start).expect("the partitions are there");
    let mut taken = Vec::new();
    // a partition that grows meanwhile ends more than once
    let mut ended = BTreeSet::new();
    while ended.len() < partitions {
        match reader.poll(BROKER).expect("each partition ends") {
            Err(KafkaError::PartitionEOF(partition)) => {
                ended.insert(partition);
            }
            message => taken.extend(take(&message.expect("it can be read"))),
        }
    }
    taken
}
