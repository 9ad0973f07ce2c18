//! Three brokers of this test's own, and what is on them.

use std::time::Duration;

use contracts::{event::Event, topics::ORDERS};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use testkit::{OwnKafka, SOON, TestKafka, eventually, own_kafka};

/// How long the brokers may take: also to miss one that was killed and to elect another leader.
pub const BROKERS: Duration = Duration::from_mins(1);

/// The broker that leads every partition of this test: the first of three, that of index 0 and id 1.
const LEADER: usize = 0;

/// Three brokers. Each partition has a replica on all of them, and the first leads.
pub struct Cluster {
    own: OwnKafka,
}

impl Cluster {
    pub async fn start() -> Self {
        Self { own: own_kafka(3).await }
    }

    /// What clients connect to.
    pub fn bootstrap(&self) -> String {
        self.own.kafka.bootstrap.clone()
    }

    /// A namespace with the one topic of this test in it, empty.
    pub async fn namespace(&self, name: &str) -> TestKafka {
        let kafka = TestKafka { bootstrap: self.bootstrap(), namespace: format!("{name}.") };
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &kafka.bootstrap).create().expect("the settings are right");
        let topic = kafka.topic(ORDERS.name());
        let wanted = NewTopic::new(&topic, 1, TopicReplication::Variable(&[&[1, 2, 3]]));
        let options = AdminOptions::new().operation_timeout(Some(BROKERS));
        let made = admin.create_topics([&wanted], &options).await.expect("the controller answers");
        for made in made {
            made.expect("there is none of this name");
        }
        eventually(SOON, "the topic can be read", async || end(&kafka).await == Some(0)).await;
        kafka
    }

    /// kill -9 of the leader.
    pub async fn kill_leader(&mut self) {
        self.own.server.kill_broker(LEADER).await.expect("it can be killed");
    }

    /// SIGSTOP or SIGCONT for the two others.
    pub fn signal_followers(&self, signal: Signal) {
        // the last two, whether the first still runs or not
        for pid in self.own.server.pids().into_iter().rev().take(2) {
            kill(Pid::from_raw(i32::try_from(pid).expect("a pid")), signal).expect("it is our child");
        }
    }
}

/// A producer with these settings beside the usual ones.
pub fn producer(bootstrap: &str, settings: &[(&str, &str)]) -> FutureProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("message.timeout.ms", BROKERS.as_millis().to_string());
    config.set("linger.ms", "0");
    for (name, value) in settings {
        config.set(*name, *value);
    }
    config.create().expect("the settings are right")
}

/// Gives a letter to the producer. Tells, when it is awaited, whether it was acknowledged.
pub fn send(producer: &FutureProducer, kafka: &TestKafka, letter: &str) -> impl Future<Output = bool> + use<> {
    let time = "2026-11-21T09:00:00Z".parse().expect("a time");
    let nothing = contracts::events::v1::OrderCreated::default();
    let event = Event::new(ORDERS, letter.to_owned(), 1, time, &nothing);
    let headers = event.to_headers();
    let headers =
        headers.iter().fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(value) }));
    let topic = kafka.topic(ORDERS.name());
    let record = FutureRecord::to(&topic).key(letter).payload(&event.payload).headers(headers);
    let delivery = producer.send_result(record).map_err(|(error, _)| error).expect("there is room");
    async move { delivery.await.expect("the producer is there").is_ok() }
}

/// The keys of all letters on the topic, for a reader with this `isolation.level`.
pub async fn found(kafka: &TestKafka, isolation: &'static str) -> Vec<String> {
    let kafka = kafka.clone();
    let reading = tokio::task::spawn_blocking(move || {
        let consumer = reader(&kafka, isolation);
        let mut place = TopicPartitionList::new();
        place.add_partition_offset(&kafka.topic(ORDERS.name()), 0, Offset::Beginning).expect("it is an offset");
        consumer.assign(&place).expect("it is there");
        let mut keys = Vec::new();
        loop {
            match consumer.poll(BROKERS).expect("the partition ends") {
                Ok(message) => keys.push(String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned()),
                Err(KafkaError::PartitionEOF(_)) => return keys,
                // the leader has changed, perhaps
                Err(_) => {}
            }
        }
    });
    reading.await.expect("reading does not panic")
}

/// Where the topic ends for readers: so many letters are on all replicas, when none is transactional.
pub async fn end(kafka: &TestKafka) -> Option<i64> {
    let kafka = kafka.clone();
    let asking = tokio::task::spawn_blocking(move || {
        let watermarks = reader(&kafka, "read_uncommitted").fetch_watermarks(&kafka.topic(ORDERS.name()), 0, SOON);
        watermarks.ok().map(|(_, end)| end)
    });
    asking.await.expect("asking does not panic")
}

fn reader(kafka: &TestKafka, isolation: &str) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", &kafka.bootstrap)
        .set("group.id", "a-reader-in-no-group")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("isolation.level", isolation)
        .create()
        .expect("the settings are right")
}

/// So many names of letters, from 1.
pub fn letters(count: usize) -> Vec<String> {
    (1..=count).map(|number| number.to_string()).collect()
}
