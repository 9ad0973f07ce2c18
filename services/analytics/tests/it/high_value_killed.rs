//! The stream of high-value orders, killed and paused while a transaction is open.

use contracts::topics::{HIGH_VALUE_ORDERS, PARTITIONS};
use futures::future::join_all;
use nix::{sys::signal::Signal, unistd::Pid};

use crate::{
    high_value::{dead_letters, has_picked, picked, send_high},
    letters::completed,
    post::Post,
    program::{Program, send},
    reading::{Isolation, Reader, read},
};

/// Platforms side by side, since after each kill the group waits 6 s for the dead member.
const PLATFORMS: usize = 5;

/// Kills of each.
const KILLS: usize = 4;

/// Completed orders before each kill.
const ORDERS: usize = 300;

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_and_after_the_commit_again_and_again_each_order_is_picked_once() {
    let written: usize = join_all((0..PLATFORMS).map(|_| kill_again_and_again())).await.into_iter().sum();
    let orders = PLATFORMS * (KILLS + 1) * ORDERS;
    println!("{} kills: {orders} orders of high value, {written} letters written", PLATFORMS * KILLS);
    assert!(written > orders, "no kill came while a transaction was open: send more letters");
}

/// Tells how many letters were written, committed or not.
async fn kill_again_and_again() -> usize {
    let post = Post::open().await;
    let database = testkit::database("analytics", &analytics::MIGRATORS).await;
    let mut sent = 0;
    for kill in 0..KILLS {
        // in turn as soon as a letter is written, and as soon as it is committed: then the position must be, too
        let moment = if kill % 2 == 0 { Isolation::Uncommitted } else { Isolation::Committed };
        let written = read(&post.kafka, HIGH_VALUE_ORDERS.name(), PARTITIONS, moment).await.len();
        sent += send_high(&post, ORDERS).await;
        post.send_without_value(&completed(contracts::ids::OrderId::new(), "2026-11-21T09:00:00Z", 1, "EUR")).await;
        let program = Program::start(&database, &post);
        let pid = program.pid();
        on_letter(&post, moment, written, move || send(pid, Signal::SIGKILL)).await;
        program.kill().await;
    }
    sent += send_high(&post, ORDERS).await;
    let program = Program::start(&database, &post);
    has_picked(&post).await;
    program.stop().await;

    let picked = picked(&post).await;
    assert_eq!(picked.len(), sent);
    let mut orders: Vec<String> = picked.into_iter().map(|letter| letter.subject).collect();
    orders.sort_unstable();
    orders.dedup();
    assert_eq!(orders.len(), sent, "orders that came out twice, and others not at all");
    assert_eq!(dead_letters(&post).await.len(), KILLS, "each bad letter is dead once");
    read(&post.kafka, HIGH_VALUE_ORDERS.name(), PARTITIONS, Isolation::Uncommitted).await.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_was_paused_in_the_middle_and_comes_back_writes_nothing_twice() {
    let post = Post::open().await;
    let database = testkit::database("analytics", &analytics::MIGRATORS).await;
    let mut sent = send_high(&post, ORDERS).await;
    let paused = Program::start(&database, &post);
    let pid = paused.pid();
    on_letter(&post, Isolation::Uncommitted, 0, move || send(pid, Signal::SIGSTOP)).await;
    // it still believes that it has all partitions, in a transaction that nobody has ended
    let other = Program::start(&database, &post);
    has_picked(&post).await;
    sent += send_high(&post, ORDERS).await;
    send(pid, Signal::SIGCONT);
    has_picked(&post).await;
    sent += send_high(&post, ORDERS).await;
    has_picked(&post).await;
    assert_eq!(picked(&post).await.len(), sent);
    // both are well, and either can go
    other.stop().await;
    sent += send_high(&post, ORDERS).await;
    has_picked(&post).await;
    assert_eq!(picked(&post).await.len(), sent);
    paused.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_killed_in_the_middle_and_comes_back_loses_and_doubles_nothing() {
    let mut brokers = testkit::own_kafka(1).await;
    let post = Post::open_on(brokers.kafka.clone()).await;
    let database = testkit::database("analytics", &analytics::MIGRATORS).await;
    let mut sent = send_high(&post, ORDERS).await;
    let program = Program::start(&database, &post);
    let broker = Pid::from_raw(i32::try_from(brokers.server.pids()[0]).expect("a pid"));
    on_letter(&post, Isolation::Uncommitted, 0, move || send(broker, Signal::SIGKILL)).await;
    // also waits until it is gone
    brokers.server.kill().await.expect("it can be killed");
    brokers.server.start().await.expect("it starts again");
    sent += send_high(&post, ORDERS).await;
    has_picked(&post).await;
    assert_eq!(picked(&post).await.len(), sent);
    program.stop().await;
}

/// Calls `act` as soon as more than so many letters lie on the topic for such a reader.
async fn on_letter(post: &Post, isolation: Isolation, more_than: usize, act: impl FnOnce() + Send + 'static) {
    let reader = Reader::open(&post.kafka, HIGH_VALUE_ORDERS.name(), PARTITIONS, isolation);
    let waiting = tokio::task::spawn_blocking(move || {
        (0..=more_than).for_each(|_| drop(reader.next()));
        act();
    });
    waiting.await.expect("letters come");
}
