//! The position in the database is the only one that counts.

use std::time::Duration;

use consumer::{ConsumerService, EventHandler, HandlerError, Kind};
use contracts::{event::Event, topics::ORDERS};
use metrics_exporter_prometheus::PrometheusBuilder;
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    consumer::{BaseConsumer, CommitMode, Consumer},
};
use sqlx::{PgConnection, postgres::PgPoolOptions};
use testkit::{SOON, eventually};
use tokio::sync::watch;

use crate::{
    recorder::{Moods, record},
    world::{GROUP, Member, World, letter},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_group_reads_the_past_from_the_earliest_letter() {
    let world = World::new(6).await;
    let events = world.send_many(&["a", "b", "c", "d"], 100).await;
    let member = world.start_recorder(&Moods::default());
    world.passed(events.len()).await;
    world.each_once_in_order(&events).await;
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_starts_again_goes_on_where_the_database_is_without_any_offset_in_kafka() {
    let world = World::new(3).await;
    let mut events = world.send_many(&["a", "b", "c"], 20).await;
    let first = world.start_recorder(&Moods::default());
    world.passed(events.len()).await;
    first.stop().await;

    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &world.kafka.bootstrap).create().unwrap();
    let group = world.kafka.topic(GROUP);
    let deleted = admin.delete_groups(&[&group], &AdminOptions::new()).await.unwrap();
    assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");

    let second = world.start_recorder(&Moods::default());
    events.extend(world.send_many(&["a", "b", "c"], 20).await);
    world.passed(events.len()).await;
    assert_eq!(world.effects().await, 120);
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_in_kafka_that_are_too_far_skip_no_letter() {
    let world = World::new(1).await;
    let events = world.send_many(&["a"], 20).await;
    let tool: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &world.kafka.bootstrap)
        .set("group.id", world.kafka.topic(GROUP))
        .create()
        .unwrap();
    let mut end = TopicPartitionList::new();
    end.add_partition_offset(&world.topic, 0, Offset::Offset(20)).unwrap();
    tool.commit(&end, CommitMode::Sync).unwrap();

    let member = world.start_recorder(&Moods::default());
    world.passed(events.len()).await;
    world.each_once_in_order(&events).await;
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_that_retention_deleted_do_not_stop_the_group() {
    let world = World::new(1).await;
    let mut events = world.send_many(&["a"], 10).await;
    let first = world.start_recorder(&Moods::default());
    world.passed(10).await;
    first.stop().await;

    world.send_many(&["gone"], 10).await;
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &world.kafka.bootstrap).create().unwrap();
    let mut before = TopicPartitionList::new();
    before.add_partition_offset(&world.topic, 0, Offset::Offset(20)).unwrap();
    admin.delete_records(&before, &AdminOptions::new()).await.unwrap();

    let second = world.start_recorder(&Moods::default());
    events.extend(world.send_many(&["b"], 10).await);
    world.passed(30).await;
    world.each_once_in_order(&events).await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_is_told_the_position_for_lag_tools() {
    let world = World::new(1).await;
    let events = world.send_many(&["a"], 20).await;
    let member = world.start_recorder(&Moods::default());
    world.passed(events.len()).await;
    member.stop().await;

    let tool: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &world.kafka.bootstrap)
        .set("group.id", world.kafka.topic(GROUP))
        .create()
        .unwrap();
    let mut asked = TopicPartitionList::new();
    asked.add_partition(&world.topic, 0);
    let committed = tool.committed_offsets(asked, Duration::from_secs(10)).unwrap();
    assert_eq!(committed.elements()[0].offset(), Offset::Offset(20));
}

/// A group of its own, so that its metric is too.
struct OvertakenRecorder;

impl EventHandler for OvertakenRecorder {
    const GROUP: &'static str = "test.overtaken";
    const KIND: Kind = Kind::Effect;

    async fn handle(&self, conn: &mut PgConnection, event: &Event) -> Result<(), HandlerError> {
        Ok(record(conn, event).await?)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Awake,
    /// Falls asleep as soon as it asks for a connection.
    Tired,
    Asleep,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_wakes_after_others_have_done_its_batch_changes_nothing() {
    // no other test of this process installs one
    let metrics = PrometheusBuilder::new().install_recorder().unwrap();
    let world = World::new(1).await;
    let (state, seen) = watch::channel(State::Awake);
    let waking = state.clone();
    // stops the zombie between its poll and its transaction
    let pool = PgPoolOptions::new()
        .after_connect(move |_, _| {
            let (state, mut seen) = (waking.clone(), seen.clone());
            Box::pin(async move {
                state.send_if_modified(|state| {
                    let falls_asleep = *state == State::Tired;
                    if falls_asleep {
                        *state = State::Asleep;
                    }
                    falls_asleep
                });
                seen.wait_for(|state| *state != State::Asleep).await.expect("the sender is here");
                Ok(())
            })
        })
        .connect(&world.database.app_url)
        .await
        .unwrap();
    let mut config = world.config();
    config.handover_deadline = Duration::from_millis(100);
    // so that nothing but a batch asks for a connection
    config.retry_poll_interval = Duration::from_hours(1);
    let zombie = Member::start(ConsumerService::new(config, pool).on(ORDERS, OvertakenRecorder));
    let mut events = world.send_many(&["a"], 10).await;
    world.passed(events.len()).await;

    state.send_replace(State::Tired);
    // a group keeps the connection of its batches; without it, the next one is another
    let sessions = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()";
    sqlx::query(sessions).execute(&world.database.app).await.unwrap();
    events.push(letter("a", 11));
    world.send(&events[10]).await;
    eventually(SOON, "the zombie has polled the letter", async || *state.borrow() == State::Asleep).await;
    zombie.stop().await;

    let heir = Member::start(world.service(world.config()).on(ORDERS, OvertakenRecorder));
    world.passed(events.len()).await;
    state.send_replace(State::Awake);
    let fenced = "consumer_fenced_total{group=\"test.overtaken\"} 1";
    eventually(SOON, "the zombie has tried its batch", async || metrics.render().contains(fenced)).await;
    world.each_once_in_order(&events).await;
    assert_eq!(world.position().await, 11);
    heir.stop().await;
}
