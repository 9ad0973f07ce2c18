//! Nothing is lost and nothing is done twice.

use std::collections::{BTreeMap, HashSet};

use service_runtime::clock::Clock;
use testkit::{SOON, eventually};

use crate::world::{Lying, World, lying};

/// For each key the sequence numbers of its first occurrences, as they lie.
fn first_occurrences(letters: &[Lying]) -> BTreeMap<&str, Vec<i64>> {
    let mut seen = HashSet::new();
    let mut by_key: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for letter in letters.iter().filter(|letter| seen.insert(letter.event.id)) {
        by_key.entry(&letter.event.subject).or_default().push(letter.event.sequence);
    }
    by_key
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_copy_lacks_comes_in_order_and_every_letter_has_its_effect_once() {
    let world = World::new().await;
    let keys = ["a", "b", "c", "d"];
    world.write(&keys, 1..=10).await;
    let process = world.serve(&world.first).await;
    eventually(SOON, "all are read", async || world.number("SELECT count(*) FROM effect").await == 40).await;
    let letters = lying(&world.first).await;
    process.stop().await;

    // six of ten were copied; the very first twice, so that no letter has the offset that it had
    let copied: Vec<&Lying> = letters.iter().filter(|letter| letter.event.sequence <= 6).collect();
    world.copy(copied.iter().copied().filter(|letter| letter.offset == 0)).await;
    world.copy(copied).await;
    // while there is no Kafka, more happens
    world.write(&keys, 11..=12).await;

    world.fail_over(None).await.unwrap();
    let moved = world.state().await;
    world.fail_over(None).await.unwrap();
    assert_eq!(world.state().await, moved, "done again it changes nothing");

    let process = world.serve(&world.second).await;
    world.write(&keys, 13..=13).await;
    eventually(SOON, "all are read", async || world.number("SELECT count(*) FROM effect").await == 52).await;
    let second = lying(&world.second).await;
    let in_order: Vec<i64> = (1..=13).collect();
    assert_eq!(first_occurrences(&second), keys.map(|key| (key, in_order.clone())).into());
    let end = i64::try_from(second.len()).unwrap();
    let position = "SELECT sum(next)::bigint FROM consumer_position";
    eventually(SOON, "the group is at the end", async || world.number(position).await == end).await;
    process.stop().await;
}

/// The first Kafka had deleted letters before anybody copied it, so that what comes next would lie behind the old positions.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_was_at_higher_offsets_misses_nothing() {
    let world = World::new().await;
    let keys = ["a", "b", "c", "d", "e", "f", "g", "h"];
    world.begin_at(100).await;
    world.write(&keys, 1..=100).await;
    let process = world.serve(&world.first).await;
    eventually(SOON, "all are read", async || world.number("SELECT count(*) FROM effect").await == 800).await;
    let letters = lying(&world.first).await;
    process.stop().await;
    world.copy(&letters).await;
    let all_copied = Clock::System.now();
    world.write(&keys, 101..=250).await;

    world.fail_over(Some(all_copied)).await.unwrap();
    let process = world.publish(&world.second).await;
    eventually(SOON, "all are published", async || lying(&world.second).await.len() >= 2_000).await;
    process.stop().await;
    assert_eq!(lying(&world.second).await.len(), 2_000, "nothing that was copied is published again");
    let process = world.serve(&world.second).await;
    eventually(SOON, "all are read", async || world.number("SELECT count(*) FROM effect").await == 2_000).await;
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_copies_of_dead_letters_are_sent_again_and_what_is_parked_stays() {
    let world = World::new().await;
    sqlx::raw_sql(
        r#"INSERT INTO consumer_parked ("group", topic, partition, "offset", header_names, header_values, error, state, next_retry_at)
           VALUES ('test.record', 'orders', 0, 1, '{}', '{}', 'no good', 'dead', now()),
               ('test.record', 'orders', 0, 2, '{}', '{}', 'no good', 'parked', now())"#,
    )
    .execute(&world.database.owner)
    .await
    .unwrap();
    world.fail_over(None).await.unwrap();
    let due = "SELECT count(*) FROM consumer_parked WHERE state = 'dead' AND copy_due_at <= now()";
    assert_eq!(world.number(due).await, 1);
    assert_eq!(world.number("SELECT count(*) FROM consumer_parked WHERE copy_due_at IS NULL").await, 1);
}
