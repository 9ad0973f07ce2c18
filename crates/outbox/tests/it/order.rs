//! The main promise: complete, and each key in order.

use contracts::topics::ORDERS;
use outbox::append_in_tx;
use testkit::{SOON, eventually};

use crate::{
    received::Received,
    world::{World, letter},
};

#[tokio::test(flavor = "multi_thread")]
async fn letters_of_concurrent_writers_arrive_complete_and_each_key_in_order() {
    let world = World::new().await;
    let relay = world.start_relay();
    let writers = world.start_writers(6);
    writers.write_more(2_000).await;
    writers.stop().await;
    let received = world.everything_arrives_in_order().await;
    assert_eq!(received.letters.len(), received.distinct(), "nothing failed, so nothing is repeated");
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_arrives_as_it_was_written() {
    let world = World::new().await;
    let relay = world.start_relay();
    let mut event = letter("an-order", 1);
    event.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    append_in_tx(&mut world.database.app.acquire().await.unwrap(), ORDERS, &event).await.unwrap();
    relay.waker.wake();
    let received = world.everything_arrives_in_order().await;
    assert_eq!(received.letters[0].event, event);
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_goes_to_the_partition_that_java_clients_give_it() {
    let world = World::new().await;
    // hashes from the tests of Kafka's own Utils.murmur2
    let hashes = [("a-little-bit-long-string", -985_981_536_i32), ("a-little-bit-longer-string", -1_486_304_829)];
    for (key, _) in hashes {
        world.write(key).await;
    }
    let relay = world.start_relay();
    let received = world.everything_arrives_in_order().await;
    for letter in &received.letters {
        let (_, hash) = hashes.iter().find(|(key, _)| *key == letter.event.subject).unwrap();
        assert_eq!(letter.partition, (hash & i32::MAX) % 6);
    }
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_is_marked_and_not_sent_again_by_the_next_relay() {
    let world = World::new().await;
    for _ in 0..3 {
        world.write("an-order").await;
    }
    let relay = world.start_relay();
    eventually(SOON, "the letters are marked", async || world.floor().await == 3).await;
    relay.stop().await;

    let relay = world.start_relay();
    world.write("an-order").await;
    eventually(SOON, "the new letter is marked", async || world.floor().await == 4).await;
    relay.stop().await;
    let mut received = Received::from_start(&world.kafka.bootstrap, &world.topic);
    received.until("the new letter arrived", |received| received.distinct() == 4).await;
    assert_eq!(received.letters.len(), 4);
}
