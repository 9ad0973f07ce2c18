//! The broker is away, or refuses.

use contracts::{event::Event, topics::ORDERS};
use outbox::{RelayConfig, STOP_DEADLINE, append_in_tx};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication},
    client::DefaultClientContext,
};
use testkit::{SOON, eventually, own_kafka};
use tokio::time::Instant;

use crate::world::{RunningRelay, World, letter};

#[tokio::test(flavor = "multi_thread")]
async fn letters_written_while_the_broker_is_away_arrive_in_order_when_it_is_back() {
    let mut own = own_kafka(1).await;
    let world = World::with_kafka(own.kafka.clone()).await;
    let relay = world.start_relay();
    let writers = world.start_writers(4);
    writers.write_more(200).await;
    own.server.kill().await.unwrap();
    writers.write_more(1_000).await;
    assert!(relay.is_running());
    own.server.start().await.unwrap();
    writers.write_more(200).await;
    writers.stop().await;
    world.everything_arrives_in_order().await;
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_stops_in_time_while_the_broker_is_away() {
    let world = World::new().await;
    let event = world.write("an-order").await;
    let relay =
        RunningRelay::start(RelayConfig { kafka_bootstrap_servers: "127.0.0.1:1".to_owned(), ..world.relay_config() });
    eventually(SOON, "it leads", async || world.epoch().await == 1).await;
    let stopping = Instant::now();
    relay.stop().await;
    assert!(stopping.elapsed() < STOP_DEADLINE);

    let next = world.start_relay();
    let received = world.everything_arrives_in_order().await;
    assert_eq!(received.count(&event), 1);
    next.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_the_broker_refuses_holds_back_its_successors_until_it_is_taken() {
    let world = World::new().await;
    let topic = limited_topic(&world).await;
    let world = World {
        topic,
        kafka: testkit::TestKafka { namespace: limited_namespace(&world), ..world.kafka.clone() },
        ..world
    };
    let relay = world.start_relay();
    for (sequence, payload) in [(1, 300), (2, 50_000), (3, 300)] {
        let event = Event { payload: random_bytes(payload), ..letter("an-order", sequence) };
        append_in_tx(&mut world.database.app.acquire().await.unwrap(), ORDERS, &event).await.unwrap();
    }
    eventually(SOON, "the relay has started anew", async || world.epoch().await >= 3).await;
    assert!(!world.is_marked(2).await && !world.is_marked(3).await);
    set_limit(&world, 1_000_000).await;
    world.everything_arrives_in_order().await;
    relay.stop().await;
}

/// Of a size that compression does not change.
fn random_bytes(count: usize) -> Vec<u8> {
    (0..count).map(|_| rand::random()).collect()
}

fn limited_namespace(world: &World) -> String {
    format!("{}limited.", world.kafka.namespace)
}

fn admin(world: &World) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", &world.kafka.bootstrap).create().unwrap()
}

/// A topic that takes no message above 10,000 bytes.
async fn limited_topic(world: &World) -> String {
    let name = format!("{}{}", limited_namespace(world), ORDERS.name());
    let topic = NewTopic::new(&name, 6, TopicReplication::Fixed(1)).set("max.message.bytes", "10000");
    admin(world).create_topics([&topic], &AdminOptions::new()).await.unwrap().remove(0).unwrap();
    name
}

async fn set_limit(world: &World, bytes: u32) {
    let bytes = bytes.to_string();
    let change = AlterConfig::new(ResourceSpecifier::Topic(&world.topic)).set("max.message.bytes", &bytes);
    admin(world).alter_configs([&change], &AdminOptions::new()).await.unwrap().remove(0).unwrap();
}
