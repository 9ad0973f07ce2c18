//! The topics of a test, and whoever writes on them.

use std::sync::atomic::{AtomicI64, Ordering};

use contracts::{
    event::Event,
    topics::{self, HIGH_VALUE_ORDERS, ORDERS, PAYMENTS, RESERVATIONS, SHIPMENTS, Topic},
};
use futures::future::join_all;
use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use testkit::TestKafka;

/// Four topics of their own, and the one that analytics writes on.
pub struct Post {
    pub kafka: TestKafka,
    producer: FutureProducer,
    sent: AtomicI64,
    sent_about_orders: AtomicI64,
}

impl Post {
    pub async fn open() -> Self {
        Self::open_on(testkit::kafka()).await
    }

    /// On these brokers.
    pub async fn open_on(kafka: TestKafka) -> Self {
        for topic in [ORDERS, RESERVATIONS, PAYMENTS, SHIPMENTS, HIGH_VALUE_ORDERS] {
            kafka.create_topic(topic.name(), topics::PARTITIONS).await;
        }
        let producer = ClientConfig::new().set("bootstrap.servers", &kafka.bootstrap).create().unwrap();
        Self { kafka, producer, sent: AtomicI64::new(0), sent_about_orders: AtomicI64::new(0) }
    }

    /// Writes each letter on the topic of its source.
    pub async fn send(&self, letters: &[Event]) {
        let sending = letters.iter().map(|letter| self.write(letter, Some(letter.payload.as_slice())));
        join_all(sending).await;
    }

    /// Writes a letter without a value.
    pub async fn send_without_value(&self, letter: &Event) {
        self.write(letter, None).await;
    }

    /// How many letters were written.
    pub fn sent(&self) -> i64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// How many of them on the topic of orders.
    pub fn sent_about_orders(&self) -> i64 {
        self.sent_about_orders.load(Ordering::Relaxed)
    }

    /// Hands the letter to the producer at once, and waits for Kafka when it is awaited.
    fn write(&self, letter: &Event, payload: Option<&[u8]>) -> impl Future<Output = ()> + use<> {
        let headers = letter
            .to_headers()
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }));
        let topic = self.kafka.topic(topic_of(letter).name());
        let record = FutureRecord { payload, ..FutureRecord::to(&topic).key(&letter.subject).headers(headers) };
        let delivery = self.producer.send_result(record).map_err(|(error, _)| error).unwrap();
        self.sent.fetch_add(1, Ordering::Relaxed);
        self.sent_about_orders.fetch_add(i64::from(letter.source == ORDERS.source()), Ordering::Relaxed);
        async move {
            delivery.await.unwrap().map_err(|(error, _)| error).unwrap();
        }
    }
}

fn topic_of(letter: &Event) -> Topic {
    topics::ALL.into_iter().find(|topic| topic.source() == letter.source).expect("a letter of ours")
}
