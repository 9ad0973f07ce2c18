//! Both ends of payment's post: inventory's letters in, payment's letters out.

use contracts::{
    event::{Event, Payload},
    events::v1::ReservationHeld,
    ids::OrderId,
    inventory::v1::{Reserved, ReservedLine},
    money::v1::Money,
    topics::{PAYMENTS, RESERVATIONS},
};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{Consumer, StreamConsumer},
    message::{Header, Headers, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use service_runtime::clock::Clock;
use testkit::{SOON, TestKafka};

/// Topics of a test's own.
pub struct Post {
    pub kafka: TestKafka,
    producer: FutureProducer,
}

impl Post {
    /// With one partition each, so that what was written earlier is also read earlier.
    pub async fn new() -> Self {
        let kafka = testkit::kafka();
        for topic in [RESERVATIONS, PAYMENTS] {
            kafka.create_topic(topic.name(), 1).await;
        }
        let producer = ClientConfig::new().set("bootstrap.servers", &kafka.bootstrap).create().unwrap();
        Self { kafka, producer }
    }

    /// Writes a letter of inventory.
    pub async fn send(&self, letter: &Event) {
        self.send_with(letter, Some(&letter.payload)).await;
    }

    /// Writes the envelope of a letter of inventory with another value, or with none.
    pub async fn send_with(&self, letter: &Event, value: Option<&[u8]>) {
        let headers = letter
            .to_headers()
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }));
        let topic = self.kafka.topic(RESERVATIONS.name());
        let record = FutureRecord::to(&topic).key(&letter.subject).headers(headers);
        let record = value.into_iter().fold(record, FutureRecord::payload);
        self.producer.send(record, SOON).await.unwrap();
    }

    /// The letters on payment's topic, up to that of this order.
    pub async fn read_until(&self, order_id: OrderId) -> Vec<Event> {
        let reader: StreamConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.kafka.bootstrap)
            .set("group.id", "reads without committing")
            .set("enable.auto.commit", "false")
            .create()
            .unwrap();
        let mut start = TopicPartitionList::new();
        start.add_partition_offset(&self.kafka.topic(PAYMENTS.name()), 0, Offset::Beginning).unwrap();
        reader.assign(&start).unwrap();
        let mut letters: Vec<Event> = Vec::new();
        let reading = async {
            while letters.last().is_none_or(|letter| letter.subject != order_id.to_string()) {
                let message = reader.recv().await.unwrap();
                let headers = message.headers().expect("a letter has headers");
                let headers = headers.iter().map(|header| (header.key, header.value));
                letters.push(Event::from_kafka(message.key(), headers, message.payload()).unwrap());
            }
        };
        tokio::time::timeout(SOON, reading).await.expect("the order's letter comes");
        letters
    }
}

/// The letter that the order's stock is held.
pub fn held(order_id: OrderId) -> Event {
    about(order_id, &ReservationHeld { order_id: order_id.to_string(), reserved: Some(reserved()) })
}

/// A letter about the order.
pub fn about<P: Payload>(order_id: OrderId, payload: &P) -> Event {
    Event::new(RESERVATIONS, order_id.to_string(), 1, Clock::System.now(), payload)
}

/// Two lines, 12.50 EUR.
pub fn reserved() -> Reserved {
    let line = |sku: &str, quantity: u32, price: i64| ReservedLine {
        sku: sku.to_owned(),
        quantity,
        unit_price: Some(eur(price)),
        line_total: Some(eur(price * i64::from(quantity))),
    };
    Reserved { lines: vec![line("mug", 2, 450), line("pen", 1, 350)], total: Some(eur(1250)) }
}

pub fn eur(amount_minor: i64) -> Money {
    Money { amount_minor, currency: "EUR".to_owned() }
}
