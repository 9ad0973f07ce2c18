//! A service that never met Kafka is not ready, says why in one line, and is ready as soon as it has.

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

#[tokio::test]
async fn a_service_is_not_ready_before_a_broker_was_there_and_stays_ready_when_it_is_gone() {
    let (broker, ops_addr) = (free_port().await, free_port().await);
    let settings = ["service", "--kafka-bootstrap-servers", &format!("nowhere.invalid:9092,{broker}")];
    let kafka = Settings::parse_from(settings).kafka;
    let readiness = Readiness::Always.and_kafka(&kafka);
    ops::serve(&OpsConfig { ops_addr }, readiness, Router::new(), &Shutdown::new()).await.expect("it serves");

    let said = readyz(ops_addr).await;
    let (head, text) = said.split_once("\r\n\r\n").expect("a head and a text");
    assert!(head.starts_with("HTTP/1.0 503") && text.lines().count() == 1, "{said}");
    assert!(text.contains(&broker.to_string()) && text.contains("KAFKA_BOOTSTRAP_SERVERS"), "{said}");

    let listener = TcpListener::bind(broker).await.expect("the port is still free");
    let is_ready = async || readyz(ops_addr).await.starts_with("HTTP/1.0 200");
    eventually(SOON, "it is ready once a broker accepts a connection", is_ready).await;
    drop(listener);
    assert!(is_ready().await, "after that Kafka is in nobody's way");
}
