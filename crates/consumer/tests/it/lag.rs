//! How far groups are behind.

use std::time::{Duration, Instant};

use consumer::admin::Stream;
use contracts::topics::ORDERS;
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer},
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord, Producer},
};
use service_runtime::config::KafkaConfig;
use testkit::ask;

use crate::{
    operators::{brokers, routes},
    recorder::{Mood, Moods},
    world::{GROUP, World, letter},
};

/// How long the brokers may take.
const BROKER: Duration = Duration::from_secs(10);

/// The lag of the one group: letters and seconds.
async fn lag(world: &World) -> (i64, f64) {
    let (status, told) = ask(&routes(world), "GET", "/lag/consumers").await;
    assert_eq!(status, 200, "{told}");
    let [lag] = told["items"].as_array().unwrap().as_slice() else { panic!("one group on one topic: {told}") };
    assert_eq!((&lag["group"], &lag["topic"]), (&GROUP.into(), &ORDERS.name().into()));
    (lag["lag_messages"].as_i64().unwrap(), lag["lag_seconds"].as_f64().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn lag_is_counted_from_the_position_in_the_database_and_0_when_all_is_handled() {
    let world = World::new(3).await;
    let moods = Moods::default();
    moods.set("bad", Mood::Reject);
    let (_, told) = ask(&routes(&world), "GET", "/lag/consumers").await;
    assert_eq!(told["items"].as_array().map(Vec::len), Some(0), "no group has been here yet");
    let member = world.start_recorder(&moods);
    let events = world.send_many(&["a", "b", "c", "d", "bad"], 3).await;
    world.passed(events.len()).await;
    assert_eq!(lag(&world).await, (0, 0.0), "what is parked is passed");
    member.stop().await;

    let began = Instant::now();
    world.send_many(&["a", "b", "c", "d"], 4).await;
    let (letters, seconds) = lag(&world).await;
    assert_eq!(letters, 16);
    assert!(seconds > 0.0 && seconds <= began.elapsed().as_secs_f64() + 0.5, "{seconds}");
    let (_, later) = lag(&world).await;
    assert!(later > seconds, "the oldest letter grows older");

    // the offsets that Kafka keeps are not asked: the database says that the group is behind again
    sqlx::query("UPDATE consumer_position SET next = 0").execute(world.pool()).await.unwrap();
    assert_eq!(lag(&world).await.0, 31);
    let again = world.start_recorder(&moods);
    world.passed(31).await;
    assert_eq!(lag(&world).await, (0, 0.0));
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_marks_of_transactions_are_no_lag() {
    let world = World::new(1).await;
    let member = world.start_recorder(&Moods::default());
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", &world.kafka.bootstrap)
        .set("transactional.id", world.kafka.topic("lag"))
        .create()
        .unwrap();
    producer.init_transactions(BROKER).unwrap();
    producer.begin_transaction().unwrap();
    let event = letter("a", 1);
    let headers = event.to_headers();
    let headers =
        headers.iter().fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(value) }));
    let record = FutureRecord::to(&world.topic).key("a").payload(&event.payload).headers(headers);
    producer.send(record, BROKER).await.unwrap();
    producer.commit_transaction(BROKER).unwrap();
    world.passed(1).await;
    assert_eq!(lag(&world).await, (0, 0.0));
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_stream_the_position_is_what_it_committed_to_kafka() {
    let world = World::new(2).await;
    world.send_many(&["a", "b", "c"], 5).await;
    let stream = Stream { group: "test.stream", topic: ORDERS };
    let routes = consumer::admin::routes_with_streams(world.pool().clone(), &brokers(&world), &[stream]);
    let lag = async || {
        let (_, told) = ask(&routes, "GET", "/lag/consumers").await;
        assert_eq!(told["items"][0]["group"], "test.stream", "{told}");
        told["items"][0]["lag_messages"].as_i64().unwrap()
    };
    assert_eq!(lag().await, 15, "it has not begun");
    let member: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &world.kafka.bootstrap)
        .set("group.id", world.kafka.topic("test.stream"))
        .create()
        .unwrap();
    let mut done = TopicPartitionList::new();
    done.add_partition_offset(&world.topic, 0, Offset::Offset(2)).unwrap();
    member.commit(&done, CommitMode::Sync).unwrap();
    assert_eq!(lag().await, 13);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_is_named_in_time() {
    let world = World::new(1).await;
    sqlx::query(r#"INSERT INTO consumer_position ("group", topic, partition, next) VALUES ($1, $2, 0, 0)"#)
        .bind(GROUP)
        .bind(ORDERS.name())
        .execute(world.pool())
        .await
        .unwrap();
    let away = KafkaConfig { kafka_bootstrap_servers: "127.0.0.1:1".to_owned(), kafka_namespace: String::new() };
    let routes = consumer::admin::routes(world.pool().clone(), &away);
    let asked = Instant::now();
    let (one, other) = tokio::join!(ask(&routes, "GET", "/lag/consumers"), ask(&routes, "GET", "/lag/consumers"));
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    for (status, said) in [one, other] {
        assert_eq!(status, 503, "{said}");
        let said = said.as_str().unwrap();
        assert!(said.contains("Kafka at 127.0.0.1:1 does not tell the lag"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}
