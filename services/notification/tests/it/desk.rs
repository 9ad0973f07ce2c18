//! A running notification with a database and topics of its own.

use std::{
    fs::File,
    net::SocketAddr,
    process::{Command, Stdio},
};

use contracts::{
    event::Event,
    ids::{AccountId, OrderId},
    notification::v1::{
        ListMessagesRequest, ListMessagesResponse, Message, notification_service_client::NotificationServiceClient,
    },
    topics::{ORDERS, SHIPMENTS, Topic},
};
use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use rpc::Channel;
use sqlx::prelude::FromRow;
use tempfile::NamedTempFile;
use testkit::{SOON, TestDatabase, TestKafka};
use tonic::Status;
use uuid::Uuid;

use crate::{
    accounts::Accounts,
    letters::{completed, dispatched},
    mail_server::MailServer,
    process::{Process, free_address},
};

/// A message as the database has it.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Row {
    pub customer_id: Uuid,
    pub order_id: Uuid,
    pub event_type: String,
    pub subject: String,
    pub body: String,
    pub state: String,
    pub attempts: i32,
    pub refusals: i32,
    pub failure: Option<String>,
}

/// Dropping it kills its process.
pub struct Desk {
    pub database: TestDatabase,
    kafka: TestKafka,
    producer: FutureProducer,
    client: NotificationServiceClient<Channel>,
    address: SocketAddr,
    ops_address: SocketAddr,
    accounts: SocketAddr,
    smtp_url: Option<String>,
    process: Process,
    log: NamedTempFile,
}

impl Desk {
    /// Where accounts is away, so that messages are written and none is sent.
    pub async fn alone() -> Self {
        Self::open_at(free_address(), None).await
    }

    /// Where messages are lines in the log.
    pub async fn open(accounts: &Accounts) -> Self {
        Self::open_at(accounts.address, None).await
    }

    /// Where messages are mailed.
    pub async fn with_mail(accounts: &Accounts, mail_server: &MailServer) -> Self {
        Self::open_at(accounts.address, Some(format!("smtp://{}", mail_server.address))).await
    }

    /// Where messages are mailed to the server of this URL.
    pub async fn with_smtp_url(accounts: &Accounts, smtp_url: String) -> Self {
        Self::open_at(accounts.address, Some(smtp_url)).await
    }

    async fn open_at(accounts: SocketAddr, smtp_url: Option<String>) -> Self {
        let database = testkit::database("notifications", &notification::MIGRATORS).await;
        let kafka = testkit::kafka();
        // one partition, so that what was written earlier is also read earlier
        for topic in [ORDERS, SHIPMENTS] {
            kafka.create_topic(topic.name(), 1).await;
        }
        let producer = ClientConfig::new().set("bootstrap.servers", &kafka.bootstrap).create().unwrap();
        let (address, ops_address) = (free_address(), free_address());
        let client = NotificationServiceClient::new(rpc::channel(&format!("http://{address}")).unwrap());
        let log = NamedTempFile::new().unwrap();
        let process =
            serve([address, ops_address], &database, &kafka, accounts, smtp_url.as_deref(), log.reopen().unwrap());
        Self { database, kafka, producer, client, address, ops_address, accounts, smtp_url, process, log }
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Asks it to end, and waits until it has heard.
    pub async fn ask_to_end(&self) {
        self.process.ask_to_end();
        testkit::eventually(SOON, "it has heard", async || self.log().contains("SIGTERM")).await;
    }

    /// Waits until it has ended, and gives whether it did so well.
    pub async fn has_ended_well(&mut self) -> bool {
        let process = &mut self.process;
        testkit::eventually_some(SOON, "it has ended", async || process.has_ended_well()).await
    }

    /// A new process on the same database.
    pub fn start_again(&mut self) {
        self.process = self.another();
    }

    /// A second process beside the first, on the same database and topics, answering nobody.
    pub fn replica(&self) -> Process {
        let log = self.log.reopen().unwrap();
        serve(
            [free_address(), free_address()],
            &self.database,
            &self.kafka,
            self.accounts,
            self.smtp_url.as_deref(),
            log,
        )
    }

    fn another(&self) -> Process {
        // what was logged before is kept
        let log = File::options().append(true).open(self.log.path()).unwrap();
        serve(
            [self.address, self.ops_address],
            &self.database,
            &self.kafka,
            self.accounts,
            self.smtp_url.as_deref(),
            log,
        )
    }

    /// All that was logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap()
    }

    /// Writes a letter.
    pub async fn post(&self, event: &Event) {
        let topic = if event.source == ORDERS.source() { ORDERS } else { SHIPMENTS };
        self.write(topic, event, Some(&event.payload)).await;
    }

    /// Writes a letter whose value is null.
    pub async fn post_without_a_value(&self, topic: Topic, event: &Event) {
        self.write(topic, event, None).await;
    }

    async fn write(&self, topic: Topic, event: &Event, value: Option<&Vec<u8>>) {
        let headers = event
            .to_headers()
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }));
        let topic = self.kafka.topic(topic.name());
        let mut record = FutureRecord::<_, Vec<u8>>::to(&topic).key(&event.subject).headers(headers);
        record.payload = value;
        self.producer.send(record, SOON).await.unwrap();
    }

    /// Waits until all that was posted before is done.
    pub async fn settle(&self) {
        let order = OrderId::new();
        let last = [completed(order, AccountId::new()), dispatched(order, AccountId::new())];
        for event in &last {
            self.post(event).await;
        }
        for event in &last {
            self.written(event).await;
        }
        sqlx::query("DELETE FROM message WHERE order_id = $1")
            .bind(order.as_uuid())
            .execute(&self.database.owner)
            .await
            .unwrap();
    }

    /// The message that a letter made.
    pub async fn find(&self, letter: &Event) -> Option<Row> {
        sqlx::query_as(
            "SELECT customer_id, order_id, event_type, subject, body, state, attempts, refusals, failure
             FROM message WHERE message_id = $1",
        )
        .bind(letter.id)
        .fetch_optional(&self.database.owner)
        .await
        .unwrap()
    }

    /// Waits until a letter has made a message.
    pub async fn written(&self, letter: &Event) -> Row {
        testkit::eventually_some(SOON, "the message is written", async || self.find(letter).await).await
    }

    /// Waits until the message of a letter is in this state; pauses between attempts are cut short.
    pub async fn until_state(&self, letter: &Event, state: &str) -> Row {
        let what = format!("the message is {state}");
        testkit::eventually_some(SOON, &what, async || {
            self.cut_pauses_short().await;
            self.find(letter).await.filter(|row| row.state == state)
        })
        .await
    }

    /// Waits until an attempt at the message of a letter has failed.
    pub async fn until_it_failed_once(&self, letter: &Event) -> Row {
        testkit::eventually_some(SOON, "an attempt has failed", async || {
            self.find(letter).await.filter(|row| row.failure.is_some())
        })
        .await
    }

    /// Lets the message of a letter be tried for the `attempts`th time, and gives the pause after that, in seconds.
    pub async fn pause_after(&self, letter: &Event, attempts: i32) -> f64 {
        sqlx::query("UPDATE message SET attempts = $2 - 1, attempt_at = now(), failure = NULL WHERE message_id = $1")
            .bind(letter.id)
            .bind(attempts)
            .execute(&self.database.owner)
            .await
            .unwrap();
        testkit::eventually_some(SOON, "that attempt has failed", async || {
            sqlx::query_scalar(
                "SELECT extract(epoch FROM attempt_at - now())::float8 FROM message
                 WHERE message_id = $1 AND attempts = $2 AND failure IS NOT NULL",
            )
            .bind(letter.id)
            .bind(attempts)
            .fetch_optional(&self.database.owner)
            .await
            .unwrap()
        })
        .await
    }

    /// Makes all messages due that wait after a failure.
    pub async fn cut_pauses_short(&self) {
        sqlx::query("UPDATE message SET attempt_at = now() WHERE state = 'DUE' AND failure IS NOT NULL")
            .execute(&self.database.owner)
            .await
            .unwrap();
    }

    /// The value of a metric; none before it was told.
    pub async fn metric(&self, name: &str) -> Option<f64> {
        let page = reqwest::get(format!("http://{}/metrics", self.ops_address)).await.ok()?.text().await.ok()?;
        let line = page.lines().find(|line| line.split(' ').next() == Some(name))?;
        line.split(' ').nth(1)?.parse().ok()
    }

    pub async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.database.owner).await.unwrap()
    }

    /// A page of a customer's messages.
    pub async fn page(&self, customer: &str, limit: u32, cursor: &str) -> Result<ListMessagesResponse, Status> {
        let request = ListMessagesRequest { customer_id: customer.to_owned(), limit, cursor: cursor.to_owned() };
        Ok(self.client.clone().list_messages(request).await?.into_inner())
    }

    /// A customer's newest messages.
    pub async fn list(&self, customer: AccountId) -> Vec<Message> {
        self.page(&customer.to_string(), 100, "").await.unwrap().items
    }
}

fn serve(
    [address, ops_address]: [SocketAddr; 2],
    database: &TestDatabase,
    kafka: &TestKafka,
    accounts: SocketAddr,
    smtp_url: Option<&str>,
    log: File,
) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_notification"));
    command
        .arg("serve")
        .env("ACCOUNTS_URL", format!("http://{accounts}"))
        .env("DATABASE_CONNECTIONS", "4")
        .env("DATABASE_URL", &database.app_url)
        .env("KAFKA_BOOTSTRAP_SERVERS", &kafka.bootstrap)
        .env("KAFKA_NAMESPACE", &kafka.namespace)
        .env("LISTEN_ADDR", address.to_string())
        .env("OPS_ADDR", ops_address.to_string())
        .env("SMTP_FROM", "Postbox <post@shop.example>")
        .env("RUST_LOG", "info")
        .stdout(Stdio::null())
        .stderr(log);
    if let Some(url) = smtp_url {
        command.env("SMTP_URL", url);
    }
    Process(command.spawn().unwrap())
}
