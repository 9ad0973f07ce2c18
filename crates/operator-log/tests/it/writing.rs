//! An entry belongs to its change.

use operator_log::{Action, Operator, note_in_tx};
use serde_json::json;
use sqlx::Connection;
use testkit::{SOON, eventually};

use crate::world::{Entry, World, resize_in_tx, somebody};

#[tokio::test]
async fn an_entry_is_there_if_and_only_if_its_change_was_committed() {
    let world = World::new().await;
    let operator = somebody();
    let mut tx = world.database.app.begin().await.unwrap();
    resize_in_tx(&mut tx, operator, 2).await;
    tx.rollback().await.unwrap();
    assert_eq!((world.size().await, world.entries().await), (1, vec![]));

    let mut tx = world.database.app.begin().await.unwrap();
    resize_in_tx(&mut tx, operator, 3).await;
    tx.commit().await.unwrap();
    let entry = Entry {
        operator: operator.to_string(),
        action: "resize".to_owned(),
        object: "thing/the-one".to_owned(),
        detail: json!({"size": {"before": 1, "after": 3}}),
        trace_id: None,
    };
    assert_eq!((world.size().await, world.entries().await), (3, vec![entry]));
}

#[tokio::test]
async fn a_process_that_dies_before_its_commit_leaves_neither_change_nor_entry() {
    let world = World::new().await;
    let mut dying = sqlx::PgConnection::connect(&world.database.app_url).await.unwrap();
    let mut tx = dying.begin().await.unwrap();
    resize_in_tx(&mut tx, somebody(), 2).await;
    // as the kernel does for a process that was killed: the socket is closed, and nothing said
    std::mem::forget(tx);
    dying.close_hard().await.unwrap();
    // whoever comes next has to wait until the server has noticed
    let mut tx = world.database.app.begin().await.unwrap();
    resize_in_tx(&mut tx, somebody(), 5).await;
    tx.commit().await.unwrap();
    let entries = world.entries().await;
    assert_eq!((entries.len(), &entries[0].detail), (1, &json!({"size": {"before": 1, "after": 5}})));
}

#[tokio::test]
async fn an_entry_has_the_time_at_which_it_was_written() {
    let world = World::new().await;
    let mut tx = world.database.app.begin().await.unwrap();
    let began: String = sqlx::query_scalar("SELECT now()::text").fetch_one(&mut *tx).await.unwrap();
    eventually(SOON, "the transaction is older than its entry", async || {
        sqlx::query_scalar("SELECT clock_timestamp() > $1::timestamptz + interval '50 ms'")
            .bind(&began)
            .fetch_one(&world.database.owner)
            .await
            .unwrap()
    })
    .await;
    resize_in_tx(&mut tx, somebody(), 2).await;
    tx.commit().await.unwrap();
    let is_its_own: bool = sqlx::query_scalar(
        "SELECT done_at > $1::timestamptz + interval '50 ms' AND done_at <= clock_timestamp() FROM operator_log",
    )
    .bind(&began)
    .fetch_one(&world.database.owner)
    .await
    .unwrap();
    assert!(is_its_own);
}

#[tokio::test]
async fn what_somebody_sent_is_noted_whatever_it_is() {
    let world = World::new().await;
    let mut conn = world.database.app.acquire().await.unwrap();
    let longest = "\u{1}".repeat(256);
    let action =
        Action::new(Operator::Ops, "discard", "dead-letter/1").with("key", "a\0b").with("error", longest.as_str());
    note_in_tx(&mut conn, &action).await.unwrap();
    assert_eq!(world.entries().await[0].detail, json!({"key": "a\u{fffd}b", "error": longest}));
}
