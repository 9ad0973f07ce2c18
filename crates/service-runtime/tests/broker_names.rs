//! A Kafka that nobody knows by its name is a wrong setting; one that is known and away is in nobody's way.

use std::net::SocketAddr;

use clap::Parser;
use service_runtime::{
    Shutdown,
    config::{KafkaConfig, OpsConfig},
    ops::{self, Readiness, Router},
};
use testkit::{SOON, eventually};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

#[derive(Debug, Parser)]
struct Settings {
    #[command(flatten)]
    kafka: KafkaConfig,
}

/// A port that nobody listens on; it is not reserved.
async fn free_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("some port is free");
    listener.local_addr().expect("it is bound")
}

/// What `/readyz` answers: the status line, the headers and the text.
async fn readyz(ops: SocketAddr) -> String {
    let mut stream = TcpStream::connect(ops).await.expect("it listens");
    stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n").await.expect("it reads");
    let mut said = String::new();
    stream.read_to_string(&mut said).await.expect("it answers and hangs up");
    said
}

/// A service with these brokers; returns its ops port.
async fn service(servers: &str) -> SocketAddr {
    let ops_addr = free_port().await;
    let kafka = Settings::parse_from(["service", "--kafka-bootstrap-servers", servers]).kafka;
    let readiness = Readiness::Always.and_kafka(&kafka);
    ops::serve(&OpsConfig { ops_addr }, readiness, Router::new(), &Shutdown::new()).await.expect("it serves");
    ops_addr
}

#[tokio::test]
async fn a_service_whose_kafka_has_a_name_that_nobody_knows_is_not_ready_and_says_why_in_one_line() {
    let said = readyz(service("nowhere.invalid:9092,none.invalid:9092").await).await;
    let (head, text) = said.split_once("\r\n\r\n").expect("a head and a text");
    assert!(head.starts_with("HTTP/1.0 503") && text.lines().count() == 1, "{said}");
    assert!(text.contains("nowhere.invalid:9092") && text.contains("KAFKA_BOOTSTRAP_SERVERS"), "{said}");
}

#[tokio::test]
async fn a_service_whose_kafka_is_known_and_away_is_ready() {
    let nobody = free_port().await;
    let ops = service(&format!("nowhere.invalid:9092, {nobody}")).await;
    eventually(SOON, "it is ready", async || readyz(ops).await.starts_with("HTTP/1.0 200")).await;
}
