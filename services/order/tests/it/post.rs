//! A desk that hears letters, and a hand that posts them.

use std::{collections::HashMap, sync::Mutex};

use contracts::{
    event::Event,
    topics::{PAYMENTS, RESERVATIONS, SHIPMENTS, Topic},
};
use order::consumers;
use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use service_runtime::config::KafkaConfig;
use testkit::{SOON, TestKafka, eventually, eventually_some};

use crate::desk::Desk;

const TOPICS: [Topic; 3] = [RESERVATIONS, PAYMENTS, SHIPMENTS];

/// Hears letters until it is dropped.
pub struct Post {
    pub desk: Desk,
    kafka: TestKafka,
    producer: FutureProducer,
    /// How many were posted on each topic.
    posted: Mutex<HashMap<&'static str, i64>>,
}

impl Post {
    pub async fn open() -> Self {
        let kafka = testkit::kafka();
        // one partition, so that what was written earlier is also read earlier
        for topic in TOPICS {
            kafka.create_topic(topic.name(), 1).await;
        }
        let desk = Desk::open().await;
        let config =
            KafkaConfig { kafka_bootstrap_servers: kafka.bootstrap.clone(), kafka_namespace: kafka.namespace.clone() };
        desk.deps.shutdown.spawn_part("consumers", consumers::run(config, desk.deps.clone()));
        let producer = ClientConfig::new().set("bootstrap.servers", &kafka.bootstrap).create().unwrap();
        Self { desk, kafka, producer, posted: Mutex::default() }
    }

    /// Posts a letter on the topic of whoever writes it.
    pub async fn post(&self, letter: &Event) {
        let topic = TOPICS.into_iter().find(|topic| topic.source() == letter.source).expect("a letter of a neighbour");
        self.post_raw(topic, letter.subject.as_bytes(), &letter.to_headers(), Some(&letter.payload)).await;
    }

    /// Posts a letter, and waits until it is read.
    pub async fn tell(&self, letter: &Event) {
        self.post(letter).await;
        self.all_read().await;
    }

    /// Posts anything.
    pub async fn post_raw(&self, topic: Topic, key: &[u8], headers: &[(&'static str, String)], payload: Option<&[u8]>) {
        let headers = headers
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }));
        let on_the_wire = self.kafka.topic(topic.name());
        let mut record = FutureRecord::to(&on_the_wire).key(key).headers(headers);
        record.payload = payload;
        self.producer.send(record, SOON).await.unwrap();
        *self.posted.lock().unwrap().entry(topic.name()).or_default() += 1;
    }

    /// Waits until everything that was posted has had its effects: they are committed with the position.
    pub async fn all_read(&self) {
        let posted = self.posted.lock().unwrap().clone();
        eventually(SOON, "all letters are read", async || {
            let positions: Vec<(String, i64)> = sqlx::query_as("SELECT topic, next FROM consumer_position")
                .fetch_all(&self.desk.database.owner)
                .await
                .unwrap();
            let positions: HashMap<String, i64> = positions.into_iter().collect();
            posted.iter().all(|(&topic, count)| positions.get(topic) == Some(count))
        })
        .await;
    }

    /// Waits until as many letters are parked, and gives the key of each and why it is.
    pub async fn parked(&self, count: usize) -> Vec<(String, String)> {
        eventually_some(SOON, "the letters are parked", async || {
            let parked: Vec<(String, String)> =
                sqlx::query_as("SELECT convert_from(key, 'UTF8'), error FROM consumer_parked ORDER BY id")
                    .fetch_all(&self.desk.database.owner)
                    .await
                    .unwrap();
            (parked.len() == count).then_some(parked)
        })
        .await
    }
}
