//! A projection is built anew beside the old one, and put in its place.

use consumer::ConsumerService;
use contracts::{event::Event, topics::ORDERS};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
};
use serde_json::json;
use service_runtime::Error;
use testkit::eventually;
use tokio_util::sync::CancellationToken;

use super::subjects::{Careless, Count, all, names, nothing_is_left, prepare, replay, replay_with};
use crate::world::{Member, TAKEOVER, World, letter};

const KEYS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// A world whose projection is being made.
async fn counting(partitions: i32) -> (World, Member) {
    let world = World::new(partitions).await;
    prepare(&world).await;
    let member = Member::start(world.service(world.config()).on(ORDERS, Count));
    (world, member)
}

async fn is_the_truth(world: &World, letters: i64) {
    let seen = "SELECT count(*) FROM seen";
    assert_eq!(world.number(seen).await, letters, "letters that were seen");
    let sum = "SELECT coalesce(sum(letters), 0)::bigint FROM per_key";
    assert_eq!(world.number(sum).await, letters, "letters that were counted");
    let wrong = "SELECT count(*) FROM per_key
                 WHERE letters <> (SELECT count(*) FROM seen WHERE seen.key = per_key.key)";
    assert_eq!(world.number(wrong).await, 0, "keys with a wrong count");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_projection_is_the_truth_again_while_letters_keep_coming_and_reads_go_on() {
    let (world, member) = counting(6).await;
    let before = world.send_many(&KEYS, 400).await.len();
    world.passed(before).await;
    let names_before = names(&world).await;
    let damage = "DELETE FROM seen WHERE sequence % 3 = 0; UPDATE per_key SET letters = 7;
                  INSERT INTO per_key (key, letters) VALUES ('invented', 0)";
    sqlx::raw_sql(damage).execute(&world.database.owner).await.unwrap();

    let done = CancellationToken::new();
    let writing = async {
        let mut written = 0;
        while !done.is_cancelled() {
            written += 1;
            world.send(&letter(KEYS[written % 5], 400 + i64::try_from(written).unwrap())).await;
        }
        written
    };
    // each connection of the pool prepares the statement once, and uses it before and after the swap
    let reading = async {
        let mut reads = 0;
        while !done.is_cancelled() {
            let count = "SELECT letters, (SELECT count(*) FROM seen WHERE key = $1) FROM per_key WHERE key = $1";
            sqlx::query_as::<_, (i64, i64)>(count).bind("a").fetch_one(world.pool()).await.unwrap();
            reads += 1;
        }
        reads
    };
    let replaying = async {
        replay(&world, "test.count", "beginning").await.unwrap();
        done.cancel();
    };
    let (written, reads, ()) = tokio::join!(writing, reading, replaying);
    assert!(written > 5 && reads > 5, "{written} letters and {reads} reads meanwhile");

    let letters = before + written;
    world.passed(letters).await;
    let letters = i64::try_from(letters).unwrap();
    is_the_truth(&world, letters).await;
    assert_eq!(world.number("SELECT count(*) FROM per_key").await, 5, "what was invented is gone");
    assert_eq!(world.number("SELECT count(*) FROM outbox").await, letters, "a letter for each, and none by the replay");
    assert_eq!(names(&world).await, names_before, "a later migration finds what it expects");
    nothing_is_left(&world).await;
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_is_refused_is_parked_in_the_new_generation_too_and_the_others_go_on() {
    let (world, member) = counting(1).await;
    let bad = Event { event_type: "test.bad".to_owned(), ..letter("a", 1) };
    world.send(&bad).await;
    world.send(&letter("a", 2)).await;
    world.send(&letter("b", 1)).await;
    world.passed(3).await;
    eventually(TAKEOVER, "the letter is dead", async || world.parked().await[0].4 == "dead").await;
    member.stop().await;
    sqlx::raw_sql("DELETE FROM seen; DELETE FROM per_key").execute(&world.database.owner).await.unwrap();

    replay(&world, "test.count", "beginning").await.unwrap();
    is_the_truth(&world, 1).await;
    let parked: Vec<_> =
        world.parked().await.into_iter().map(|(_, key, offset, _, state)| (key, offset, state)).collect();
    let expected = [("a".to_owned(), 0, "parked".to_owned()), ("a".to_owned(), 1, "parked".to_owned())];
    assert_eq!(parked, expected, "to be tried afresh, in the order of the key");
    nothing_is_left(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_writes_what_it_does_not_name_ends_the_replay_and_changes_nothing() {
    for (statement, table) in [
        ("INSERT INTO aside (event_id) VALUES ($1)", "public.aside"),
        (
            "INSERT INTO public.outbox (event_id, topic, key, sequence, event_type, source, occurred_at, payload)
             VALUES ($1, 't', 'k', 1, 'e', 's', now(), '')",
            "public.outbox_",
        ),
    ] {
        let world = World::new(1).await;
        prepare(&world).await;
        world.send_many(&["a"], 3).await;
        // the group has read them, whatever came of it
        sqlx::query("INSERT INTO consumer_position VALUES ('test.careless', $1, 0, 3)")
            .bind(ORDERS.name())
            .execute(&world.database.owner)
            .await
            .unwrap();
        let careless = |config, pool| ConsumerService::new(config, pool).on(ORDERS, Careless(statement));
        let refused = replay_with(&world, "test.careless", "beginning", careless).await.unwrap_err().to_string();
        assert!(refused.contains(&format!("the handler writes {table}")), "{refused}");
        assert_eq!(world.number("SELECT (SELECT count(*) FROM aside) + (SELECT count(*) FROM outbox)").await, 0);
        assert_eq!(world.noted().await, [], "what came to nothing is not noted");
        nothing_is_left(&world).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_cannot_be_made_anew_in_every_respect_is_not_replaced() {
    let (world, member) = counting(1).await;
    world.send_many(&["a"], 3).await;
    world.passed(3).await;
    sqlx::raw_sql("CREATE VIEW newest AS SELECT max(sequence) FROM seen").execute(&world.database.owner).await.unwrap();
    let refused = replay(&world, "test.count", "beginning").await.unwrap_err().to_string();
    assert!(refused.contains("table seen cannot be replaced") && refused.contains("newest"), "{refused}");
    is_the_truth(&world, 3).await;
    nothing_is_left(&world).await;
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_that_are_gone_from_the_topic_are_told_and_not_dropped_from_the_tables() {
    let (world, member) = counting(1).await;
    world.send_many(&["a"], 10).await;
    world.passed(10).await;
    member.stop().await;
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &world.kafka.bootstrap).create().unwrap();
    let mut before = TopicPartitionList::new();
    before.add_partition_offset(&world.topic, 0, Offset::Offset(4)).unwrap();
    admin.delete_records(&before, &AdminOptions::new()).await.unwrap();

    let refused = replay(&world, "test.count", "beginning").await.unwrap_err().to_string();
    assert!(refused.contains("the oldest 4 letters are gone"), "{refused}");
    is_the_truth(&world, 10).await;
    replay(&world, "test.count", "2020-01-01T00:00:00Z").await.unwrap();
    is_the_truth(&world, 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_replay_of_the_group_is_refused_and_what_a_dead_one_left_is_dropped() {
    let (world, member) = counting(1).await;
    world.send_many(&["a"], 10).await;
    world.passed(10).await;
    let mut other = world.database.owner.acquire().await.unwrap();
    sqlx::query("SELECT pg_advisory_lock(hashtextextended('replay of test.count', 0))")
        .execute(&mut *other)
        .await
        .unwrap();
    let refused = replay(&world, "test.count", "beginning").await.unwrap_err();
    assert!(matches!(&refused, Error::TryAgain(line) if line.contains("another replay of test.count")), "{refused}");
    let left = "CREATE SCHEMA \"test.count_replay\"; CREATE TABLE \"test.count_replay\".seen (wrong integer)";
    sqlx::raw_sql(left).execute(&mut *other).await.unwrap();
    other.close().await.unwrap();

    assert_eq!(world.noted().await, []);
    replay(&world, "test.count", "beginning").await.unwrap();
    is_the_truth(&world, 10).await;
    nothing_is_left(&world).await;
    let (who, what, group) = ("command line".to_owned(), "replay".to_owned(), "group/test.count".to_owned());
    let detail = json!({"kind": "projection", "from": "beginning", "to": null, "letters": 10});
    assert_eq!(world.noted().await, [(who, what, group, detail)]);
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_there_is_not_is_refused_with_those_that_there_are() {
    let world = World::new(1).await;
    let refused = replay_with(&world, "test.cuont", "beginning", all).await.unwrap_err();
    assert_eq!(refused.to_string(), "test has no consumer group test.cuont; it has: test.count, test.keep");
    assert!(matches!(refused, Error::Config(_)));
}
