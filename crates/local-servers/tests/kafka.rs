//! A real Kafka: killed, started again, and with three brokers one of which is lost.

use std::time::Duration;

use local_servers::topics::{self, TopicSpec};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{FutureProducer, FutureRecord};

const TOPIC: &str = "letters";

async fn create_topic(bootstrap: &str, brokers: u16) {
    let topic = TopicSpec { name: TOPIC.to_owned(), partitions: 1 };
    topics::create(bootstrap, brokers, &[topic]).await.expect("the topic is made");
}

/// Sends one letter with all acknowledgements; waits as long as a change of leaders may take.
async fn send(bootstrap: &str) {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("acks", "all")
        .set("message.timeout.ms", "30000")
        .create()
        .expect("the settings are valid");
    let letter = FutureRecord::to(TOPIC).key("key").payload("letter");
    producer.send(letter, Duration::from_secs(5)).await.expect("the letter is acknowledged");
}

/// How many letters the topic holds.
async fn count(bootstrap: String) -> i64 {
    let asking = tokio::task::spawn_blocking(move || {
        let client: BaseConsumer =
            ClientConfig::new().set("bootstrap.servers", bootstrap).create().expect("the settings are valid");
        client.fetch_watermarks(TOPIC, 0, Duration::from_secs(10)).expect("the topic is there").1
    });
    asking.await.expect("asking does not panic")
}

#[tokio::test]
async fn a_killed_broker_comes_back_on_its_port_with_its_letters() {
    let mut own = testkit::own_kafka(1).await;
    let bootstrap = own.server.bootstrap();
    create_topic(&bootstrap, 1).await;
    create_topic(&bootstrap, 1).await;
    send(&bootstrap).await;

    own.server.kill().await.expect("it can be killed");
    assert!(!own.server.answers().await);
    own.server.start().await.expect("it starts again");

    assert_eq!(own.server.bootstrap(), bootstrap);
    assert_eq!(count(bootstrap).await, 1);
    own.server.stop().await.expect("it stops");
    assert!(own.server.pids().is_empty());
}

#[tokio::test]
async fn three_brokers_take_letters_while_one_is_dead() {
    let mut own = testkit::own_kafka(3).await;
    let bootstrap = own.server.bootstrap();
    create_topic(&bootstrap, 3).await;
    send(&bootstrap).await;

    own.server.kill_broker(0).await.expect("it can be killed");
    send(&bootstrap).await;
    own.server.start().await.expect("the lost one comes back");

    assert_eq!(own.server.pids().len(), 3);
    assert_eq!(count(bootstrap).await, 2);
}
