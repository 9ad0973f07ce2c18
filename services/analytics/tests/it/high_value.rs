//! The stream of high-value orders: what comes out for what comes in.

use std::collections::BTreeSet;

use analytics::high_value::GROUP;
use consumer::Letter;
use contracts::{
    event::Event,
    events::v1::{HighValueOrderCompleted, OrderCompleted, OrderCreated},
    ids::{AccountId, OrderId},
    order::v1::Order,
    topics::{HIGH_VALUE_ORDERS, ORDERS, PARTITIONS},
};
use rdkafka::{
    ClientConfig, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    topic_partition_list::TopicPartitionListElem,
};
use testkit::{SOON, eventually};

use crate::{
    desk::Desk,
    letters::{about, completed, money, order},
    post::Post,
    reading::{Isolation, read},
};

const AT: &str = "2026-11-21T09:00:00.25Z";

#[tokio::test]
async fn a_completed_order_of_high_value_comes_out_with_what_a_follower_needs() {
    let post = Post::open().await;
    let _desk = Desk::open(&post).await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let (id, customer) = (OrderId::new(), AccountId::new());
    let high = Order { customer_id: customer.to_string(), ..order(id, 50_000, "EUR") };
    let high = about(id, 2, AT, &OrderCompleted { order: Some(high) });
    let high = Event { traceparent: Some(trace.to_owned()), ..high };
    post.send(&[completed(OrderId::new(), AT, 49_999, "EUR"), high.clone()]).await;
    has_picked(&post).await;

    let [told] = picked(&post).await.try_into().expect("one of the two");
    let payload: HighValueOrderCompleted = told.decode().unwrap();
    let expected = HighValueOrderCompleted {
        order_id: id.to_string(),
        customer_id: customer.to_string(),
        total: Some(money(50_000, "EUR")),
        order_version: 2,
    };
    assert_eq!(payload, expected);
    assert_eq!((told.source.as_str(), told.sequence, told.time), ("/analytics", 1, high.time));
    assert_eq!(told.traceparent.as_deref(), Some(trace));
}

#[tokio::test]
async fn only_completions_are_picked_and_a_repeated_letter_keeps_its_id() {
    let post = Post::open().await;
    let _desk = Desk::open(&post).await;
    let id = OrderId::new();
    let created = about(id, 1, AT, &OrderCreated { order: Some(order(id, 90_000, "EUR")) });
    let (one, other) = (completed(id, AT, 90_000, "EUR"), completed(OrderId::new(), AT, 90_000, "EUR"));
    post.send(&[created, one.clone(), other, one]).await;
    has_picked(&post).await;
    let picked = picked(&post).await;
    assert_eq!(picked.len(), 3);
    assert_eq!(picked.iter().map(|letter| letter.id).collect::<BTreeSet<_>>().len(), 2);
}

#[tokio::test]
async fn a_letter_that_makes_no_sense_is_dead_lettered_once_and_the_stream_goes_on() {
    let post = Post::open().await;
    let _desk = Desk::open(&post).await;
    let id = OrderId::new;
    let good = || completed(id(), AT, 90_000, "EUR");
    let nobodys = Order { customer_id: "somebody".to_owned(), ..order(id(), 90_000, "EUR") };
    let nobodys = about(nobodys.order_id.parse().unwrap(), 2, AT, &OrderCompleted { order: Some(nobodys) });
    // the largest that the producer of a test may send
    let large = Event { payload: vec![0xff; 999_000], ..good() };
    let bad = [
        (Event { payload: vec![0xff; 3], ..good() }, "the payload is no order.completed"),
        (Event { subject: "an-order".to_owned(), ..good() }, "ce_subject: an order id must be"),
        (about(id(), 2, AT, &OrderCompleted { order: Some(order(id(), 90_000, "EUR")) }), "is about order"),
        (about(id(), 2, AT, &OrderCompleted { order: None }), "the letter has no order"),
        (nobodys, "order.customer_id: an account id must be"),
        (large, "too large to be copied"),
    ];
    let letters: Vec<Event> = bad.iter().map(|(letter, _)| letter.clone()).collect();
    post.send(&[good()]).await;
    post.send(&letters).await;
    post.send_without_value(&good()).await;
    post.send(&[Event { event_type: "order.gift_wrapped".to_owned(), payload: vec![0xff; 3], ..good() }, good()]).await;
    has_picked(&post).await;

    assert_eq!(picked(&post).await.len(), 2);
    let dead = dead_letters(&post).await;
    let errors: Vec<String> = dead.iter().map(|copy| header(copy, "kafka_dlt-exception-message")).collect();
    for expected in bad.iter().map(|(_, error)| *error).chain(["the value is null"]) {
        assert!(errors.iter().any(|error| error.contains(expected)), "nothing says {expected:?}: {errors:#?}");
    }
    assert_eq!(dead.len(), bad.len() + 1);
    let copy = dead.iter().find(|copy| copy.key() == Some(letters[0].subject.as_bytes())).expect("a copy");
    assert_eq!(copy.payload(), Some(letters[0].payload.as_slice()));
    assert_eq!(header(copy, "kafka_dlt-original-topic"), post.kafka.topic(ORDERS.name()));
    assert_eq!(header(copy, "ce_id"), letters[0].id.to_string());
}

#[tokio::test]
async fn members_that_come_and_go_pick_each_order_once() {
    let post = Post::open().await;
    let first = Desk::open(&post).await;
    let mut sent = send_high(&post, 50).await;
    let second = Desk::open_on(first.database.clone(), &post);
    sent += send_high(&post, 50).await;
    let third = Desk::open_on(first.database.clone(), &post);
    sent += send_high(&post, 50).await;
    has_picked(&post).await;
    drop(first);
    sent += send_high(&post, 50).await;
    drop(second);
    sent += send_high(&post, 50).await;
    has_picked(&post).await;
    assert_eq!(picked(&post).await.len(), sent);
    drop(third);
}

/// Completes so many orders of high value.
pub async fn send_high(post: &Post, count: usize) -> usize {
    let letters: Vec<Event> = (0..count).map(|_| completed(OrderId::new(), AT, 90_000, "EUR")).collect();
    post.send(&letters).await;
    count
}

/// What lies on the topic for whoever reads only what is committed.
pub async fn picked(post: &Post) -> Vec<Event> {
    let letters = read(&post.kafka, HIGH_VALUE_ORDERS.name(), PARTITIONS, Isolation::Committed).await;
    letters.into_iter().map(|letter| letter.read().expect("it is a letter")).collect()
}

/// What was given up.
pub async fn dead_letters(post: &Post) -> Vec<Letter> {
    read(&post.kafka, &consumer::dead_letter_topic(ORDERS.name(), GROUP), 1, Isolation::Committed).await
}

/// Waits until the group has committed that it is past every letter that was sent, so that lag tools see it.
pub async fn has_picked(post: &Post) {
    let lag_tool: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &post.kafka.bootstrap)
        .set("group.id", post.kafka.topic(GROUP))
        .create()
        .unwrap();
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition_range(&post.kafka.topic(ORDERS.name()), 0, PARTITIONS - 1);
    let lag_tool = std::sync::Arc::new(lag_tool);
    eventually(3 * SOON, "every letter is picked or passed by", async || {
        let (lag_tool, partitions) = (lag_tool.clone(), partitions.clone());
        let asking = tokio::task::spawn_blocking(move || lag_tool.committed_offsets(partitions, SOON));
        let Ok(committed) = asking.await.unwrap() else { return false };
        let passed = |place: &TopicPartitionListElem<'_>| place.offset().to_raw().filter(|&next| next > 0).unwrap_or(0);
        committed.elements().iter().map(passed).sum::<i64>() == post.sent_about_orders()
    })
    .await;
}

fn header(copy: &Letter, name: &str) -> String {
    let (_, value) = copy.headers().find(|(key, _)| *key == name).expect("the header is there");
    String::from_utf8(value.expect("it has a value").to_vec()).expect("it is text")
}
