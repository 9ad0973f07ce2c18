//! Letters that do not get better.

use std::time::Duration;

use consumer::{discard, redrive};
use contracts::topics::ORDERS;
use rdkafka::{
    ClientConfig, Message,
    consumer::{Consumer, StreamConsumer},
    message::{Headers, OwnedMessage},
};
use testkit::{SOON, eventually, eventually_some};

use crate::{
    recorder::{Mood, Moods},
    world::{GROUP, World, letter},
};

/// Waits until the first letter is dead, and returns its id.
async fn dead(world: &World) -> i64 {
    eventually_some(SOON, "the letter is dead", async || {
        world.parked().await.into_iter().find(|(.., state)| state == "dead").map(|(id, ..)| id)
    })
    .await
}

async fn copies(world: &World, number: usize) -> Vec<OwnedMessage> {
    let reader: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", &world.kafka.bootstrap)
        .set("group.id", world.kafka.topic("reader"))
        .set("auto.offset.reset", "earliest")
        .set("topic.metadata.refresh.interval.ms", "100")
        .create()
        .unwrap();
    reader.subscribe(&[&world.kafka.topic(&format!("{}.{GROUP}.dlt", ORDERS.name()))]).unwrap();
    let mut copies = Vec::new();
    while copies.len() < number {
        let received = tokio::time::timeout(SOON, reader.recv()).await.expect("the copy comes");
        // until the topic is there, it is an error
        if let Ok(message) = received {
            copies.push(message.detach());
        }
    }
    copies
}

#[tokio::test(flavor = "multi_thread")]
async fn after_five_tries_a_copy_is_on_the_dead_letter_topic_and_the_key_stays_parked() {
    let world = World::new(3).await;
    let moods = Moods::default();
    moods.set("bad", Mood::RejectFirst);
    let member = world.start_recorder(&moods);
    let events = world.send_many(&["bad", "good"], 3).await;
    world.passed(events.len()).await;
    let id = dead(&world).await;

    let copy = copies(&world, 1).await.remove(0);
    let original = &events[0];
    assert_eq!(copy.key(), Some(&b"bad"[..]));
    assert_eq!(copy.payload(), Some(&original.payload[..]));
    let headers = copy.headers().unwrap();
    let header = |name: &str| headers.iter().find(|header| header.key == name).and_then(|header| header.value);
    let partition: i32 = sqlx::query_scalar("SELECT partition FROM consumer_parked WHERE id = $1")
        .bind(id)
        .fetch_one(world.pool())
        .await
        .unwrap();
    assert_eq!(header("kafka_dlt-original-topic"), Some(world.topic.as_bytes()));
    assert_eq!(header("kafka_dlt-original-partition"), Some(&partition.to_be_bytes()[..]));
    assert_eq!(header("kafka_dlt-original-offset"), Some(&0_i64.to_be_bytes()[..]));
    assert_eq!(header("kafka_dlt-original-consumer-group"), Some(world.kafka.topic(GROUP).as_bytes()));
    assert_eq!(header("kafka_dlt-exception-message"), Some(&b"bad is no good"[..]));
    assert_eq!(header("retry_topic-attempts"), Some(&5_i32.to_be_bytes()[..]));
    assert_eq!(header("traceparent"), original.traceparent.as_deref().map(str::as_bytes));
    assert_eq!(header("ce_id"), Some(original.id.to_string().as_bytes()));

    // the handler takes what is behind the dead letter, and now the letter too, but nobody has said so
    moods.accept("bad");
    world.send(&letter("bad", 4)).await;
    world.passed(events.len() + 1).await;
    let states: Vec<String> = world.parked().await.into_iter().map(|(.., state)| state).collect();
    assert_eq!(states, ["dead", "parked", "parked", "parked"]);
    assert_eq!(world.effects_of("bad").await, [0; 0]);
    assert_eq!(world.effects_of("good").await, [1, 2, 3]);
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redrive_does_the_letter_and_those_behind_it_in_order() {
    let world = World::new(1).await;
    let moods = Moods::default();
    moods.set("bad", Mood::RejectFirst);
    let member = world.start_recorder(&moods);
    let events = world.send_many(&["bad"], 4).await;
    let id = dead(&world).await;
    world.passed(4).await;
    moods.accept("bad");
    assert!(redrive(world.pool(), id).await.unwrap());
    eventually(SOON, "the key is free", async || world.parked().await.is_empty()).await;
    world.each_once_in_order(&events).await;
    assert!(!redrive(world.pool(), id).await.unwrap(), "there is no such letter any more");
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_is_redriven_in_vain_is_dead_again() {
    let world = World::new(1).await;
    let moods = Moods::default();
    moods.set("bad", Mood::Reject);
    let member = world.start_recorder(&moods);
    world.send(&letter("bad", 1)).await;
    let id = dead(&world).await;
    copies(&world, 1).await;
    assert!(redrive(world.pool(), id).await.unwrap());
    assert_eq!(dead(&world).await, id);
    assert_eq!(copies(&world, 1).await.len(), 1);
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn discard_lets_the_letters_behind_flow() {
    let world = World::new(1).await;
    let moods = Moods::default();
    moods.set("bad", Mood::RejectFirst);
    let member = world.start_recorder(&moods);
    world.send_many(&["bad"], 3).await;
    let id = dead(&world).await;
    world.passed(3).await;
    moods.accept("bad");
    assert!(discard(world.pool(), id).await.unwrap());
    eventually(SOON, "the others are done", async || world.effects_of("bad").await == [2, 3]).await;
    assert!(world.parked().await.is_empty());
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_is_not_dead_is_neither_redriven_nor_discarded() {
    let world = World::new(1).await;
    let moods = Moods::default();
    moods.set("bad", Mood::Reject);
    let mut config = world.config();
    config.retry_backoff = Duration::from_mins(1);
    let member = world.start_recorder_with(config, &moods);
    world.send(&letter("bad", 1)).await;
    world.passed(1).await;
    let (id, ..) = world.parked().await[0];
    assert!(!redrive(world.pool(), id).await.unwrap());
    assert!(!discard(world.pool(), id).await.unwrap());
    assert_eq!(world.parked().await.len(), 1);
    member.stop().await;
}
