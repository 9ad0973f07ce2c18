//! A running inventory with topics of its own, and both ends of its post.

use contracts::{
    event::{Event, Payload},
    events::v1::{OrderCancelled, OrderCompleted, OrderCreated},
    ids::OrderId,
    order::v1::{Order, PlacedBy, PricedLine},
    topics::{ORDERS, RESERVATIONS},
};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{Consumer, StreamConsumer},
    message::{Header, Headers, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use service_runtime::{
    Shutdown,
    clock::Clock,
    config::{BatchConfig, DatabaseConfig, KafkaConfig, OpsConfig, TlsConfig},
};
use testkit::{SOON, TestDatabase, TestKafka};

use crate::shop::Shop;

/// A shop that also hears its orders. Serves until it is dropped.
pub struct Post {
    pub shop: Shop,
    kafka: TestKafka,
    producer: FutureProducer,
}

impl Post {
    /// With a shop that sells these: SKU, price in cents, pieces.
    pub async fn selling(products: &[(&str, i64, i64)]) -> Self {
        let post = Self::open(Self::database().await).await;
        post.shop.stock_up(products).await;
        post
    }

    /// A database that nobody serves from yet.
    pub async fn database() -> TestDatabase {
        testkit::database("inventory", &inventory::MIGRATORS).await
    }

    /// On this database.
    pub async fn open(database: TestDatabase) -> Self {
        let kafka = testkit::kafka();
        // one partition, so that what was written earlier is also read earlier
        for topic in [ORDERS, RESERVATIONS] {
            kafka.create_topic(topic.name(), 1).await;
        }
        let [listen_addr] = testkit::free_addresses();
        let config = inventory::Config {
            listen_addr,
            tls: TlsConfig::default(),
            ops: OpsConfig { ops_addr: listen_addr },
            database: DatabaseConfig {
                database_url: database.app_url.clone().into(),
                database_connections: 8,
                database_acquire_timeout_ms: 10_000,
            },
            batches: BatchConfig::default(),
            kafka: KafkaConfig {
                kafka_bootstrap_servers: kafka.bootstrap.clone(),
                kafka_namespace: kafka.namespace.clone(),
            },
        };
        let shutdown = Shutdown::new();
        let routes = inventory::start(&config, database.app.clone(), &shutdown).unwrap();
        let producer = ClientConfig::new().set("bootstrap.servers", &kafka.bootstrap).create().unwrap();
        Self { shop: Shop::serve(database, listen_addr, routes, shutdown).await, kafka, producer }
    }

    /// Writes a letter on the orders' topic.
    pub async fn post(&self, event: &Event) {
        self.post_raw(event.subject.as_bytes(), &event.to_headers(), Some(&event.payload)).await;
    }

    /// Writes anything on the orders' topic.
    pub async fn post_raw(&self, key: &[u8], headers: &[(&'static str, String)], payload: Option<&[u8]>) {
        let headers = headers
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }));
        let topic = self.kafka.topic(ORDERS.name());
        let mut record = FutureRecord::to(&topic).key(key).headers(headers);
        record.payload = payload;
        self.producer.send(record, SOON).await.unwrap();
    }

    /// Waits until all that was posted before is done, and gives all letters that inventory wrote: the topics have one
    /// partition, and the answer to one more order is the last letter. Called again, it gives that answer as well.
    pub async fn letters_until_now(&self) -> Vec<Event> {
        let last = OrderId::new();
        self.post(&created(last, PlacedBy::Letter, &[("no-such-product", 1)])).await;
        let mut letters = self.letters_until(last).await;
        letters.pop();
        letters
    }

    /// All letters that inventory wrote, up to the first about this order.
    pub async fn letters_until(&self, last: OrderId) -> Vec<Event> {
        let last = last.to_string();
        let consumer: StreamConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.kafka.bootstrap)
            .set("group.id", "reads without committing")
            .set("enable.auto.commit", "false")
            .create()
            .unwrap();
        let mut start = TopicPartitionList::new();
        start.add_partition_offset(&self.kafka.topic(RESERVATIONS.name()), 0, Offset::Beginning).unwrap();
        consumer.assign(&start).unwrap();
        let mut letters: Vec<Event> = Vec::new();
        let reading = async {
            while letters.last().is_none_or(|letter| letter.subject != last) {
                let message = consumer.recv().await.unwrap();
                let headers = message.headers().expect("a letter has headers");
                let headers = headers.iter().map(|header| (header.key, header.value));
                letters.push(Event::from_kafka(message.key(), headers, message.payload()).unwrap());
            }
        };
        tokio::time::timeout(SOON, reading).await.expect("the last letter comes");
        letters
    }

    /// Waits until as many letters are parked, and says why those of each key are.
    pub async fn parked(&self, count: usize) -> Vec<(String, String)> {
        testkit::eventually_some(SOON, "the letters are parked", async || {
            let parked: Vec<(String, String)> =
                sqlx::query_as("SELECT convert_from(key, 'UTF8'), error FROM consumer_parked ORDER BY id")
                    .fetch_all(&self.shop.database.owner)
                    .await
                    .unwrap();
            (parked.len() == count).then_some(parked)
        })
        .await
    }
}

/// The letter that an order was placed.
pub fn created(order: OrderId, placed_by: PlacedBy, lines: &[(&str, u32)]) -> Event {
    let line = |&(sku, quantity): &(&str, u32)| PricedLine { sku: sku.to_owned(), quantity, ..PricedLine::default() };
    let lines = lines.iter().map(line).collect();
    let message = Order { order_id: order.to_string(), placed_by: placed_by.into(), lines, ..Order::default() };
    about(order, 1, &OrderCreated { order: Some(message) })
}

/// The letter that an order is completed.
pub fn completed(order: OrderId) -> Event {
    about(order, 2, &OrderCompleted { order: Some(message(order)) })
}

/// The letter that an order is cancelled.
pub fn cancelled(order: OrderId) -> Event {
    about(order, 4, &OrderCancelled { order: Some(message(order)) })
}

/// A letter about an order.
pub fn about<P: Payload>(order: OrderId, sequence: i64, payload: &P) -> Event {
    Event::new(ORDERS, order.to_string(), sequence, Clock::System.now(), payload)
}

/// An order as its letters carry it.
pub fn message(order: OrderId) -> Order {
    Order { order_id: order.to_string(), ..Order::default() }
}

/// Type and sequence of each letter of an order.
pub fn story(letters: &[Event], order: OrderId) -> Vec<(&str, i64)> {
    let of_order = letters.iter().filter(|letter| letter.subject == order.to_string());
    of_order.map(|letter| (letter.event_type.as_str(), letter.sequence)).collect()
}
