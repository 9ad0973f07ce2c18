//! Ids that no letter has: rolled back, or not committed yet.

use std::time::Duration;

use contracts::topics::ORDERS;
use outbox::append_in_tx;
use sqlx::Connection;
use testkit::{SOON, eventually};

use crate::world::{World, change_in_tx, id_of, letter};

/// Longer than the relay needs to look at the gaps twice.
const SEVERAL_CHORES: Duration = Duration::from_secs(8);

/// Any writing transaction on the server delays the passing of a gap until it is over: also those of other tests, in other
/// databases.
const AFTER_OTHERS: Duration = Duration::from_mins(2);

#[tokio::test(flavor = "multi_thread")]
async fn a_rolled_back_letter_is_never_published_and_its_id_is_passed_in_the_end() {
    let world = World::new().await;
    world.set_transaction_timeout("1s").await;
    let relay = world.start_relay();
    let mut tx = world.database.app.begin().await.unwrap();
    change_in_tx(&mut tx, "rolled-back").await;
    tx.rollback().await.unwrap();
    let second = world.write("committed").await;
    let id = id_of(&mut world.database.app.acquire().await.unwrap(), &second).await;
    assert_eq!(id, 2, "the first id was drawn by the letter that was rolled back");

    eventually(SOON, "the second is marked", async || world.is_marked(id).await).await;
    assert_eq!(world.floor().await, 0, "the first may still be committed, as far as the relay knows");
    eventually(AFTER_OTHERS, "the gap is passed", async || world.floor().await == id).await;
    world.everything_arrives_in_order().await;
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_whose_transaction_may_still_be_running_is_waited_for() {
    let world = World::new().await;
    world.set_transaction_timeout("15s").await;
    let relay = world.start_relay();
    // makes the sequence write itself down, so that drawing the next id gives the drawer no transaction id: nobody can
    // see that it runs
    world.write("before").await;
    let mut connection = sqlx::PgConnection::connect(&world.database.app_url).await.unwrap();
    let mut slow = connection.begin().await.unwrap();
    let id: i64 = sqlx::query_scalar("SELECT nextval('outbox_id_seq')").fetch_one(&mut *slow).await.unwrap();
    let later = world.write("later").await;

    wait_until_it_is_old(&world, &later).await;
    assert_eq!(world.floor().await, id - 1);
    let event = letter("slow", 1);
    append_in_tx(&mut slow, ORDERS, &event).await.unwrap();
    sqlx::query("UPDATE outbox SET id = $1 WHERE event_id = $2")
        .bind(id)
        .bind(event.id)
        .execute(&mut *slow)
        .await
        .unwrap();
    slow.commit().await.unwrap();
    world.everything_arrives_in_order().await;
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_outlives_the_timeout_is_waited_for_all_the_same() {
    let world = World::new().await;
    world.set_transaction_timeout("1s").await;
    let relay = world.start_relay();
    // the owner's transactions have no timeout; so it is with one that hangs in its commit
    let mut slow = world.database.owner.begin().await.unwrap();
    let event = change_in_tx(&mut slow, "slow").await;
    let id = id_of(&mut slow, &event).await;
    let later = world.write("later").await;

    wait_until_it_is_old(&world, &later).await;
    assert_eq!(world.floor().await, id - 1);
    slow.commit().await.unwrap();
    world.everything_arrives_in_order().await;
    relay.stop().await;
}

/// Waits until the relay has marked the letter, and has had the time to misjudge what came before it.
async fn wait_until_it_is_old(world: &World, event: &contracts::event::Event) {
    let id = id_of(&mut world.database.app.acquire().await.unwrap(), event).await;
    eventually(SOON, "the later letter is marked", async || world.is_marked(id).await).await;
    eventually(SOON, "the later letter is old", async || {
        sqlx::query_scalar(
            "SELECT inserted_at < clock_timestamp() - $2 * interval '1 second' FROM outbox WHERE id = $1",
        )
        .bind(id)
        .bind(SEVERAL_CHORES.as_secs_f64())
        .fetch_one(&world.database.app)
        .await
        .unwrap()
    })
    .await;
}
