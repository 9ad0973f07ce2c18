//! A process that reads or writes in one of the ways of the page: `src/bin/delivery-member`.

use std::process::Stdio;

use testkit::TestKafka;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::cluster::BROKERS;

/// Starts one in this role; it dies with the handle.
pub fn spawn(role: &str, options: &[&str], kafka: &TestKafka, database_url: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_delivery-member"))
        .arg(role)
        .args(options)
        .env("KAFKA_BOOTSTRAP_SERVERS", &kafka.bootstrap)
        .env("KAFKA_NAMESPACE", &kafka.namespace)
        .env("DATABASE_URL", database_url)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("cargo has built it")
}

/// Runs one until it says that its bad moment has come, and kills it there.
pub async fn kill_at(moment: &str, role: &str, kafka: &TestKafka, database_url: &str) {
    let mut member = spawn(role, &["--stop", moment], kafka, database_url);
    let mut said = BufReader::new(member.stdout.take().expect("it is piped")).lines();
    let line = timeout(BROKERS, said.next_line()).await.expect("the moment comes").expect("it can be heard");
    assert_eq!(line.as_deref(), Some("now"), "{role}");
    member.kill().await.expect("it can be killed");
}

/// Runs one to its end.
pub async fn run(role: &str, kafka: &TestKafka, database_url: &str) {
    let mut member = spawn(role, &[], kafka, database_url);
    let ended = timeout(BROKERS, member.wait()).await.expect("it ends").expect("it was not waited for");
    assert!(ended.success(), "{role}: {ended}");
}
