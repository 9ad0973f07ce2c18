//! A running shipping with a database and topics of its own, and both ends of its post.

use std::net::TcpListener;

use contracts::{
    event::{Event, Payload},
    events::v1::OrderCompleted,
    ids::OrderId,
    order::v1::Order,
    shipping::v1::{
        DispatchRequest, GetShipmentRequest, Shipment, ShipmentStatus, shipping_service_client::ShippingServiceClient,
    },
    topics::{ORDERS, SHIPMENTS},
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
    config::{DatabaseConfig, KafkaConfig, OpsConfig},
};
use testkit::{SOON, TestDatabase, TestKafka};
use tonic::{Status, transport::Channel};

/// Longer than any test: nothing moves by itself.
pub const NEVER: u32 = 31_536_000;

/// Serves until it is dropped.
pub struct Depot {
    pub database: TestDatabase,
    kafka: TestKafka,
    producer: FutureProducer,
    client: ShippingServiceClient<Channel>,
    shutdown: Shutdown,
}

impl Depot {
    /// A depot that sends parcels on their way after so many seconds.
    pub async fn open(dispatch_after: u32) -> Self {
        let migrators = [&outbox::MIGRATOR, &consumer::MIGRATOR, &shipping::MIGRATOR];
        let database = testkit::database("shipping", &migrators).await;
        let kafka = testkit::kafka();
        // one partition, so that what was written earlier is also read earlier
        for topic in [ORDERS, SHIPMENTS] {
            kafka.create_topic(topic.name(), 1).await;
        }
        let listen_addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = shipping::Config {
            listen_addr,
            dispatch_after,
            ops: OpsConfig { ops_addr: listen_addr },
            database: DatabaseConfig {
                database_url: database.app_url.clone().into(),
                database_connections: 8,
                database_acquire_timeout_ms: 10_000,
            },
            kafka: KafkaConfig {
                kafka_bootstrap_servers: kafka.bootstrap.clone(),
                kafka_namespace: kafka.namespace.clone(),
            },
        };
        let shutdown = Shutdown::new();
        let routes = shipping::start(&config, database.app.clone(), &shutdown).unwrap();
        let serving = shutdown.clone();
        tokio::spawn(async move { rpc::server::serve(listen_addr, routes, &serving).await.unwrap() });
        let client = ShippingServiceClient::new(rpc::channel(&format!("http://{listen_addr}")).unwrap());
        let producer = ClientConfig::new().set("bootstrap.servers", &kafka.bootstrap).create().unwrap();
        Self { database, kafka, producer, client, shutdown }
    }

    /// Writes a letter on the orders' topic.
    pub async fn post(&self, event: &Event) {
        let headers = event
            .to_headers()
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }));
        let topic = self.kafka.topic(ORDERS.name());
        let record = FutureRecord::to(&topic).key(&event.subject).payload(&event.payload).headers(headers);
        self.producer.send(record, SOON).await.unwrap();
    }

    pub async fn shipment(&self, order: OrderId) -> Result<Shipment, Status> {
        let request = GetShipmentRequest { order_id: order.to_string() };
        Ok(self.client.clone().get_shipment(request).await?.into_inner().shipment.expect("an answer has one"))
    }

    pub async fn dispatch(&self, order: OrderId) -> Result<Shipment, Status> {
        let request = DispatchRequest { order_id: order.to_string() };
        Ok(self.client.clone().dispatch(request).await?.into_inner().shipment.expect("an answer has one"))
    }

    /// Waits until the order has a shipment.
    pub async fn shipped(&self, order: OrderId) -> Shipment {
        testkit::eventually_some(SOON, "the order has a shipment", async || self.shipment(order).await.ok()).await
    }

    /// Waits until the shipment of the order is there.
    pub async fn reaches(&self, order: OrderId, status: ShipmentStatus) -> Shipment {
        testkit::eventually_some(SOON, "the shipment is there", async || {
            self.shipment(order).await.ok().filter(|shipment| shipment.status() == status)
        })
        .await
    }

    /// Makes a completed order, waits for its shipment, and gives all letters on the shipments' topic up to its own. What
    /// happened before it is then done: the topics have one partition.
    pub async fn letters_until_now(&self) -> Vec<Event> {
        let last = OrderId::new();
        self.post(&completed(last)).await;
        self.shipped(last).await;
        let mut letters = self.letters_until(|letter| letter.subject == last.to_string()).await;
        letters.pop();
        letters
    }

    /// All letters on the shipments' topic, up to the first that `is_last`.
    pub async fn letters_until(&self, is_last: impl Fn(&Event) -> bool) -> Vec<Event> {
        let consumer: StreamConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.kafka.bootstrap)
            .set("group.id", "reads without committing")
            .set("enable.auto.commit", "false")
            .create()
            .unwrap();
        let mut start = TopicPartitionList::new();
        start.add_partition_offset(&self.kafka.topic(SHIPMENTS.name()), 0, Offset::Beginning).unwrap();
        consumer.assign(&start).unwrap();
        let mut letters = Vec::new();
        let reading = async {
            while !letters.last().is_some_and(&is_last) {
                let message = consumer.recv().await.unwrap();
                let headers = message.headers().expect("a letter has headers");
                let headers = headers.iter().map(|header| (header.key, header.value));
                letters.push(Event::from_kafka(message.key(), headers, message.payload()).unwrap());
            }
        };
        tokio::time::timeout(SOON, reading).await.expect("the last letter comes");
        letters
    }

    pub async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.database.owner).await.unwrap()
    }
}

impl Drop for Depot {
    fn drop(&mut self) {
        self.shutdown.request();
    }
}

/// The letter that an order is completed.
pub fn completed(order: OrderId) -> Event {
    about(order, 2, &OrderCompleted { order: Some(message(order)) })
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
