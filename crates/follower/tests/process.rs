//! A follower as the process that it is: the example `echo`, on real servers.

use std::{
    env,
    path::PathBuf,
    process::{ExitStatus, Output, Stdio},
};

use contracts::{
    event::Event,
    topics::{ORDERS, PARTITIONS, SHIPMENTS},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer},
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
    util::Timeout,
};
use testkit::{SOON, TestDatabase, TestKafka, eventually};
use tokio::process::{Child, Command};
use uuid::Uuid;

/// The program, which cargo builds before the tests, beside them; with nothing of this process's own settings.
fn echo(command: &str) -> Command {
    let test = env::current_exe().expect("a process knows its program");
    let target: PathBuf = test.parent().and_then(|deps| deps.parent()).expect("tests are built into deps/").to_owned();
    let mut echo = Command::new(target.join("examples/echo"));
    echo.arg(command).env_clear().env("NO_COLOR", "1").stdin(Stdio::null()).kill_on_drop(true);
    echo
}

#[track_caller]
fn assert_bad_configuration(output: &Output, variable: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{said}");
    assert!(said.contains(variable) && said.lines().count() == 1, "{said}");
}

#[tokio::test]
async fn a_bad_setting_ends_it_with_64_and_one_line_that_names_the_variable() {
    let missing = echo("serve").output().await.expect("the example is built");
    assert_bad_configuration(&missing, "DATABASE_URL");
    let missing = echo("migrate").output().await.expect("the example is built");
    assert_bad_configuration(&missing, "DATABASE_URL");
    let wrong = echo("serve").env("DATABASE_URL", "postgres://x/y").env("OPS_ADDR", "9099").output().await;
    assert_bad_configuration(&wrong.expect("the example is built"), "OPS_ADDR");
}

#[tokio::test]
async fn its_ops_port_is_that_of_its_manifest() {
    let help = echo("serve").arg("--help").output().await.expect("the example is built");
    let help = String::from_utf8_lossy(&help.stdout);
    assert!(help.contains("[default: 127.0.0.1:9099]") && help.contains("OPS_ADDR"), "{help}");
}

/// A running follower, with servers of its own namespace.
struct Running {
    process: Child,
    database: TestDatabase,
    kafka: TestKafka,
    ops_url: String,
}

impl Running {
    /// Migrated, started and ready.
    async fn start() -> Self {
        let (database, kafka) = (testkit::database("echo", &[]).await, testkit::kafka());
        kafka.create_topic(ORDERS.name(), PARTITIONS).await;
        kafka.create_topic(SHIPMENTS.name(), PARTITIONS).await;
        for _ in ["once", "and again, which changes nothing"] {
            let migrated = echo("migrate").env("DATABASE_URL", &database.owner_url).status().await;
            assert!(migrated.expect("the example is built").success());
        }
        let [ops_addr] = testkit::free_addresses();
        let ops_addr = ops_addr.to_string();
        let process = echo("serve")
            .env("DATABASE_URL", &database.app_url)
            .env("KAFKA_BOOTSTRAP_SERVERS", &kafka.bootstrap)
            .env("KAFKA_NAMESPACE", &kafka.namespace)
            .env("OPS_ADDR", &ops_addr)
            .spawn()
            .expect("the example is built");
        let running = Self { process, database, kafka, ops_url: format!("http://{ops_addr}") };
        eventually(SOON, "it is ready", async || running.readiness().await.as_deref() == Some("ready\n")).await;
        running
    }

    /// What `/readyz` says; `None` when nobody answers.
    async fn readiness(&self) -> Option<String> {
        reqwest::get(format!("{}/readyz", self.ops_url)).await.ok()?.text().await.ok()
    }

    /// Puts a letter into the topic that is followed.
    async fn send(&self, letter: &Event) {
        let producer: FutureProducer = ClientConfig::new()
            .set("bootstrap.servers", &self.kafka.bootstrap)
            .create()
            .expect("the settings are right");
        let headers = letter.to_headers();
        let headers = headers
            .iter()
            .fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(value) }));
        let topic = self.kafka.topic(ORDERS.name());
        let record = FutureRecord::to(&topic).key(&letter.subject).payload(&letter.payload).headers(headers);
        producer.send(record, Timeout::Never).await.expect("the broker takes it");
    }

    async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.database.owner).await.expect("the tables are there")
    }

    /// How many letters it has published.
    fn answers(&self) -> i64 {
        let reader: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.kafka.bootstrap)
            .create()
            .expect("the settings are right");
        let topic = self.kafka.topic(SHIPMENTS.name());
        let marks = (0..PARTITIONS).map(|partition| reader.fetch_watermarks(&topic, partition, SOON));
        marks.map(|marks| marks.expect("the topic is there")).map(|(low, high)| high - low).sum()
    }

    /// SIGTERM.
    fn ask_to_end(&self) {
        let pid = self.process.id().and_then(|pid| i32::try_from(pid).ok()).expect("it runs");
        kill(Pid::from_raw(pid), Signal::SIGTERM).expect("it runs");
    }

    async fn end(&mut self) -> ExitStatus {
        tokio::time::timeout(SOON, self.process.wait()).await.expect("it ends").expect("it is our child")
    }
}

fn letter(subject: &str) -> Event {
    Event {
        id: Uuid::now_v7(),
        event_type: "test.happened".to_owned(),
        source: "/test".to_owned(),
        subject: subject.to_owned(),
        time: "2026-11-21T09:00:00Z".parse().expect("it is a time"),
        sequence: 1,
        traceparent: None,
        payload: Vec::new(),
    }
}

#[tokio::test]
async fn it_makes_the_effects_of_its_letters_and_publishes_its_own() {
    let mut echo = Running::start().await;
    let (first, second) = (letter("first"), letter("second"));
    echo.send(&first).await;
    echo.send(&first).await;
    echo.send(&second).await;
    eventually(SOON, "three letters are behind it", async || {
        echo.count("SELECT coalesce(sum(next), 0)::bigint FROM consumer_position").await == 3
    })
    .await;
    assert_eq!(echo.count("SELECT count(*) FROM answered").await, 2, "one came twice");
    eventually(SOON, "both answers are published", async || echo.answers() == 2).await;
    echo.ask_to_end();
    assert_eq!(echo.end().await.code(), Some(0));
}

#[tokio::test]
async fn sigterm_lets_it_finish_the_letter_that_it_handles() {
    let mut echo = Running::start().await;
    let mut held = echo.database.owner.begin().await.expect("the database answers");
    sqlx::query("LOCK TABLE answered IN EXCLUSIVE MODE").execute(&mut *held).await.expect("nobody else has it");
    echo.send(&letter("held up")).await;
    eventually(SOON, "it handles the letter", async || {
        echo.count("SELECT count(*) FROM pg_locks WHERE relation = 'answered'::regclass AND NOT granted").await == 1
    })
    .await;

    echo.ask_to_end();
    eventually(SOON, "it drains", async || echo.readiness().await.as_deref() == Some("draining\n")).await;
    assert!(echo.process.try_wait().expect("it is our child").is_none(), "it left its letter");
    held.commit().await.expect("the lock is given back");

    assert_eq!(echo.end().await.code(), Some(0));
    assert_eq!(echo.count("SELECT count(*) FROM answered").await, 1);
}
