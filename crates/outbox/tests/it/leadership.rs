//! One relay of a database leads, however many there are.

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use testkit::{SOON, eventually, eventually_some};
use tokio::process::Child;

use crate::world::{TAKEOVER, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_paused_is_followed_and_does_no_harm_when_it_goes_on() {
    let world = World::new().await;
    let mut paused = world.spawn_relay();
    eventually(SOON, "the first leads", async || world.epoch().await == 1).await;
    let mut follower = world.spawn_relay();
    let writers = world.start_writers(2);
    eventually(SOON, "the first publishes", async || world.done().await > 100).await;

    signal(&paused, Signal::SIGSTOP);
    eventually(TAKEOVER, "the second leads", async || world.epoch().await == 2).await;
    signal(&paused, Signal::SIGCONT);
    writers.write_more(500).await;
    writers.stop().await;
    world.everything_arrives_in_order().await;
    assert_eq!(world.epoch().await, 2, "the first stands by now");
    assert!(paused.try_wait().unwrap().is_none(), "the first still runs");

    follower.kill().await.unwrap();
    eventually(TAKEOVER, "the first leads again", async || world.epoch().await == 3).await;
    paused.kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_of_a_leader_that_was_followed_is_refused_and_the_letter_is_sent_again() {
    let world = World::new().await;
    let relay = world.start_relay();
    eventually(SOON, "it leads", async || world.epoch().await == 1).await;
    sqlx::query("UPDATE outbox_progress SET epoch = 2").execute(&world.database.app).await.unwrap();
    let event = world.write("an-order").await;
    eventually(SOON, "it notices and leads anew", async || world.epoch().await == 3).await;
    eventually(SOON, "the letter is marked", async || world.floor().await == 1).await;
    let mut received = world.everything_arrives_in_order().await;
    received.until("the letter came twice", |received| received.count(&event) == 2).await;
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_session_is_ended_leads_again() {
    let world = World::new().await;
    let relay = world.start_relay();
    let session = eventually_some(SOON, "it leads", async || {
        sqlx::query_scalar::<_, i32>(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        )
        .fetch_optional(&world.database.app)
        .await
        .unwrap()
    });
    sqlx::query("SELECT pg_terminate_backend($1)").bind(session.await).execute(&world.database.app).await.unwrap();
    let event = world.write("an-order").await;
    relay.waker.wake();
    let received = world.everything_arrives_in_order().await;
    assert_eq!(received.count(&event), 1);
    assert_eq!(world.epoch().await, 2);
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_relays_one_stands_by_and_follows_when_the_other_stops() {
    let world = World::new().await;
    let first = world.start_relay();
    eventually(SOON, "the first leads", async || world.epoch().await == 1).await;
    let second = world.start_relay();
    let writers = world.start_writers(2);
    writers.write_more(100).await;
    assert_eq!(world.epoch().await, 1);
    first.stop().await;
    eventually(SOON, "the second leads", async || world.epoch().await == 2).await;
    writers.stop().await;
    let received = world.everything_arrives_in_order().await;
    assert_eq!(received.letters.len(), received.distinct(), "a leader that stops in order leaves nothing unmarked");
    second.stop().await;
}

fn signal(child: &Child, signal: Signal) {
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).expect("it runs");
    kill(Pid::from_raw(pid), signal).unwrap();
}
