//! An effect makes what is missing.

use contracts::{event::Event, topics::ORDERS};
use serde_json::json;

use super::subjects::{Keep, nothing_is_left, prepare, replay};
use crate::world::{Member, World, letter};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_made_once_and_letters_that_the_group_has_not_read_are_left_to_it() {
    let world = World::new(6).await;
    prepare(&world).await;
    let member = Member::start(world.service(world.config()).on(ORDERS, Keep));
    let letters = world.send_many(&["a", "b", "c"], 100).await;
    world.passed(letters.len()).await;
    member.stop().await;
    world.send_many(&["a", "b", "c"], 10).await;
    let lost = "DELETE FROM aside WHERE event_id IN (SELECT event_id FROM effect WHERE sequence <= 20);
                DELETE FROM effect WHERE sequence <= 20";
    sqlx::raw_sql(lost).execute(&world.database.owner).await.unwrap();

    replay(&world, "test.keep", "beginning").await.unwrap();
    let twice = "SELECT count(*) FROM (SELECT FROM effect GROUP BY event_id HAVING count(*) > 1) AS twice";
    assert_eq!((world.effects().await, world.number(twice).await), (300, 0));
    assert_eq!(world.position().await, 300, "the group is where it was");
    nothing_is_left(&world).await;
    let (who, what, group) = ("command line".to_owned(), "replay".to_owned(), "group/test.keep".to_owned());
    let detail = json!({"kind": "effect", "from": "beginning", "to": null, "letters": 300});
    assert_eq!(world.noted().await, [(who, what, group, detail)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_letters_from_that_time_on_are_given_again() {
    let world = World::new(1).await;
    prepare(&world).await;
    let member = Member::start(world.service(world.config()).on(ORDERS, Keep));
    world.send_many(&["early"], 5).await;
    world.passed(5).await;
    let between: String =
        sqlx::query_scalar("SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
            .fetch_one(&world.database.owner)
            .await
            .unwrap();
    // Kafka's times are in milliseconds
    testkit::eventually(testkit::SOON, "a millisecond passes", async || {
        world.number("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint % 2").await == 1
    })
    .await;
    world.send_many(&["late"], 5).await;
    world.passed(10).await;
    member.stop().await;
    sqlx::raw_sql("DELETE FROM aside; DELETE FROM effect").execute(&world.database.owner).await.unwrap();
    replay(&world, "test.keep", &between).await.unwrap();
    assert_eq!(world.effects_of("late").await, [1, 2, 3, 4, 5]);
    assert!(world.effects_of("early").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_letter_is_told_by_its_place_and_all_others_are_done() {
    let world = World::new(1).await;
    prepare(&world).await;
    world.send(&letter("b", 1)).await;
    world.send(&Event { event_type: "test.bad".to_owned(), ..letter("a", 1) }).await;
    world.send(&letter("a", 2)).await;
    world.send(&letter("c", 1)).await;
    sqlx::query("INSERT INTO consumer_position VALUES ('test.keep', $1, 0, 4)")
        .bind(ORDERS.name())
        .execute(&world.database.owner)
        .await
        .unwrap();

    let refused = replay(&world, "test.keep", "beginning").await.unwrap_err().to_string();
    assert!(refused.contains("1 letters were refused, and 1 later ones of their keys left out"), "{refused}");
    assert!(refused.contains(&format!("{}, partition 0, offset 1: no good", ORDERS.name())), "{refused}");
    assert_eq!(world.effects().await, 2);
    assert_eq!(world.noted().await.len(), 1, "it has made something");
    assert!(world.parked().await.is_empty());
    nothing_is_left(&world).await;
}
