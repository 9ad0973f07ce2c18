//! A running shipping with a database and topics of its own, and both ends of its post.

use std::{net::SocketAddr, process::Command};

use contracts::{
    event::{Event, Payload},
    events::v1::OrderCompleted,
    ids::{AccountId, OrderId},
    order::v1::Order,
    shipping::v1::{
        DispatchRequest, GetShipmentRequest, Shipment, ShipmentStatus, StopRequest, StopShipment,
        shipping_service_client::ShippingServiceClient, stop_response::Outcome,
    },
    topics::{ACCOUNTS, ORDERS, SHIPMENTS, Topic},
};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{Consumer, StreamConsumer},
    message::{Header, Headers, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use rpc::Channel;
use service_runtime::clock::Clock;
use sqlx::{Postgres, Transaction};
use testkit::{SOON, TestDatabase, TestKafka, eventually, eventually_some};
use tonic::{Code, Status};

use crate::{
    accounts::{Accounts, home},
    process::{Process, free_address},
};

/// Longer than any test: nothing moves by itself.
pub const NEVER: u32 = 31_536_000;

/// Shipping and accounts; both serve until this is dropped.
pub struct Depot {
    pub database: TestDatabase,
    pub accounts: Accounts,
    /// Someone with an address.
    pub customer: AccountId,
    kafka: TestKafka,
    producer: FutureProducer,
    client: ShippingServiceClient<Channel>,
    address: SocketAddr,
    dispatch_after: u32,
    process: Process,
}

impl Depot {
    /// A depot that sends parcels on their way after so many seconds.
    pub async fn open(dispatch_after: u32) -> Self {
        let database = testkit::database("shipping", &shipping::MIGRATORS).await;
        let kafka = testkit::kafka();
        // one partition, so that what was written earlier is also read earlier
        for topic in [ORDERS, ACCOUNTS, SHIPMENTS] {
            kafka.create_topic(topic.name(), 1).await;
        }
        let accounts = Accounts::open(&kafka).await;
        let customer = accounts.register(Some(home())).await;
        let address = free_address();
        let process = spawn(&database, &kafka, &accounts, address, dispatch_after);
        let client = ShippingServiceClient::new(rpc::channel(&format!("http://{address}")).unwrap());
        let producer = ClientConfig::new().set("bootstrap.servers", &kafka.bootstrap).create().unwrap();
        let depot = Self { database, accounts, customer, kafka, producer, client, address, dispatch_after, process };
        depot.answers().await;
        depot
    }

    /// kill -9 of shipping.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// A new shipping on the same database.
    pub async fn start_again(&mut self) {
        self.process = spawn(&self.database, &self.kafka, &self.accounts, self.address, self.dispatch_after);
        self.answers().await;
    }

    /// Gives the group its letters again, as an operator does.
    pub async fn replay(&self) {
        let ended = tokio::process::Command::new(env!("CARGO_BIN_EXE_shipping"))
            .args(["replay", "shipping.prepare-parcels", "--from", "beginning"])
            .env("DATABASE_URL", &self.database.owner_url)
            .env("KAFKA_BOOTSTRAP_SERVERS", &self.kafka.bootstrap)
            .env("KAFKA_NAMESPACE", &self.kafka.namespace)
            .kill_on_drop(true)
            .status();
        assert!(ended.await.unwrap().success());
    }

    async fn answers(&self) {
        eventually(SOON, "shipping answers", async || {
            self.shipment(OrderId::new()).await.is_err_and(|status| status.code() == Code::NotFound)
        })
        .await;
    }

    /// Writes the letter that an order of somebody is completed.
    pub async fn complete(&self, order: OrderId, customer: AccountId) {
        self.post(ORDERS, &completed(order, customer)).await;
    }

    /// An order of somebody without an address, as far as shipping comes with it.
    pub async fn awaiting(&self, customer: AccountId) -> OrderId {
        let order = OrderId::new();
        self.complete(order, customer).await;
        self.reaches(order, ShipmentStatus::AwaitingAddress).await;
        order
    }

    /// An order that is being prepared.
    pub async fn preparing(&self) -> OrderId {
        let order = OrderId::new();
        self.complete(order, self.customer).await;
        self.reaches(order, ShipmentStatus::Preparing).await;
        order
    }

    /// Writes a letter.
    pub async fn post(&self, topic: Topic, event: &Event) {
        let headers = event
            .to_headers()
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }));
        let topic = self.kafka.topic(topic.name());
        let record = FutureRecord::to(&topic).key(&event.subject).payload(&event.payload).headers(headers);
        self.producer.send(record, SOON).await.unwrap();
    }

    pub async fn shipment(&self, order: OrderId) -> Result<Shipment, Status> {
        let request = GetShipmentRequest { order_id: order.to_string() };
        Ok(self.client.clone().get_shipment(request).await?.into_inner().shipment.expect("an answer has one"))
    }

    pub async fn dispatch(&self, order: OrderId) -> Result<Shipment, Status> {
        self.dispatch_by(order, "").await
    }

    /// As an operator with this account.
    pub async fn dispatch_by(&self, order: OrderId, operator_id: &str) -> Result<Shipment, Status> {
        let request = DispatchRequest { order_id: order.to_string(), operator_id: operator_id.to_owned() };
        Ok(self.client.clone().dispatch(request).await?.into_inner().shipment.expect("an answer has one"))
    }

    /// Stops the parcel of an order of [`Self::customer`].
    pub async fn stop(&self, order: OrderId) -> Outcome {
        let item = StopShipment { order_id: order.to_string(), customer_id: self.customer.to_string() };
        let mut outcomes = self.stop_all(vec![item]).await.unwrap();
        assert_eq!(outcomes.len(), 1);
        outcomes.remove(0)
    }

    /// The outcomes of one call, in the order in which they come.
    pub async fn stop_all(&self, items: Vec<StopShipment>) -> Result<Vec<Outcome>, Status> {
        let mut answers = self.client.clone().stop(StopRequest { items }).await?.into_inner();
        let mut outcomes = Vec::new();
        while let Some(answer) = answers.message().await? {
            outcomes.push(answer.outcome.expect("an answer has one"));
        }
        Ok(outcomes)
    }

    /// Waits until the order has a shipment.
    pub async fn shipped(&self, order: OrderId) -> Shipment {
        eventually_some(SOON, "the order has a shipment", async || self.shipment(order).await.ok()).await
    }

    /// Waits until the shipment of the order has this status, or had it and has moved on.
    pub async fn reaches(&self, order: OrderId, status: ShipmentStatus) -> Shipment {
        eventually_some(SOON, &format!("the shipment is {status:?}"), async || {
            // the statuses are numbered in the order in which they come
            self.shipment(order).await.ok().filter(|shipment| shipment.status >= status.into())
        })
        .await
    }

    /// Waits until the question for the address of this order's customer is out.
    pub async fn asked(&self, order: OrderId) {
        eventually(SOON, "accounts is asked", async || {
            let asked = "SELECT count(*) FROM address_question WHERE order_id = $1 AND attempts > 0";
            let asked: i64 =
                sqlx::query_scalar(asked).bind(order.as_uuid()).fetch_one(&self.database.owner).await.unwrap();
            asked == 1
        })
        .await;
    }

    /// Locks the question of an order, so that whoever writes its answer has to wait.
    pub async fn lock_question(&self, order: OrderId) -> Transaction<'static, Postgres> {
        let mut lock = self.database.owner.begin().await.unwrap();
        let question = sqlx::query("SELECT FROM address_question WHERE order_id = $1 FOR UPDATE");
        let locked = question.bind(order.as_uuid()).fetch_all(&mut *lock).await.unwrap();
        assert_eq!(locked.len(), 1, "there is a question");
        lock
    }

    /// Waits until shipping waits for a lock.
    pub async fn waits_for_lock(&self) {
        let waiting = "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
                       WHERE datname = current_database() AND NOT granted";
        eventually(SOON, "shipping waits for the lock", async || self.count(waiting).await > 0).await;
    }

    /// Waits until everything that was posted before is done, and gives all letters on the shipments' topic up to then.
    pub async fn letters_until_now(&self) -> Vec<Event> {
        // both topics have one partition: when their last letters are heard, all are
        let moving = self.accounts.register(None).await;
        let last = self.awaiting(moving).await;
        self.accounts.move_house(moving).await;
        self.reaches(last, ShipmentStatus::Preparing).await;
        eventually(SOON, "no question is left", async || {
            self.count("SELECT count(*) FROM address_question WHERE attempt_at IS NOT NULL").await == 0
        })
        .await;
        let end = self.preparing().await;
        let mut letters = self.letters_until(|letter| letter.subject == end.to_string()).await;
        letters.pop();
        letters.retain(|letter| letter.subject != last.to_string());
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

fn spawn(
    database: &TestDatabase,
    kafka: &TestKafka,
    accounts: &Accounts,
    address: SocketAddr,
    dispatch_after: u32,
) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shipping"));
    command
        .arg("serve")
        .env("DATABASE_URL", &database.app_url)
        .env("DATABASE_ACQUIRE_TIMEOUT_MS", "10000")
        .env("KAFKA_BOOTSTRAP_SERVERS", &kafka.bootstrap)
        .env("KAFKA_NAMESPACE", &kafka.namespace)
        .env("ACCOUNTS_URL", format!("http://{}", accounts.address))
        .env("DISPATCH_AFTER", dispatch_after.to_string())
        .env("LISTEN_ADDR", address.to_string())
        .env("OPS_ADDR", free_address().to_string());
    Process::start(&mut command)
}

/// The letter that an order is completed.
pub fn completed(order: OrderId, customer: AccountId) -> Event {
    about(order, 2, &OrderCompleted { order: Some(message(order, customer)) })
}

/// A letter about an order.
pub fn about<P: Payload>(order: OrderId, sequence: i64, payload: &P) -> Event {
    Event::new(ORDERS, order.to_string(), sequence, Clock::System.now(), payload)
}

/// An order as its letters carry it.
pub fn message(order: OrderId, customer: AccountId) -> Order {
    Order { order_id: order.to_string(), customer_id: customer.to_string(), ..Order::default() }
}

/// Type and sequence of each letter of an order.
pub fn story(letters: &[Event], order: OrderId) -> Vec<(&str, i64)> {
    let of_order = letters.iter().filter(|letter| letter.subject == order.to_string());
    of_order.map(|letter| (letter.event_type.as_str(), letter.sequence)).collect()
}
