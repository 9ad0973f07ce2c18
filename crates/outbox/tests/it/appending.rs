//! Writing letters.

use contracts::{event::Event, topics::ORDERS};
use outbox::{Error, KEY_BYTES_MAX, LETTER_BYTES_MAX, append_in_tx, append_many_in_tx};

use crate::world::{World, letter};

#[tokio::test]
async fn a_letter_that_could_not_be_published_is_refused_by_name() {
    let world = World::new().await;
    let mut tx = world.database.app.begin().await.unwrap();
    let too_large = Event { payload: vec![0; LETTER_BYTES_MAX], ..letter("an-order", 1) };
    let refused = append_in_tx(&mut tx, ORDERS, &too_large).await;
    assert!(matches!(refused, Err(Error::TooLarge { bytes, .. }) if bytes == LETTER_BYTES_MAX + "an-order".len()));
    for key in [String::new(), "k".repeat(KEY_BYTES_MAX + 1)] {
        assert!(matches!(append_in_tx(&mut tx, ORDERS, &letter(&key, 1)).await, Err(Error::Key { .. })));
    }
    assert!(matches!(append_in_tx(&mut tx, ORDERS, &letter("an-order", 0)).await, Err(Error::Sequence { .. })));
    // nothing was sent to the database, so the transaction goes on
    let largest = Event { payload: vec![0; LETTER_BYTES_MAX - "an-order".len()], ..letter("an-order", 1) };
    append_in_tx(&mut tx, ORDERS, &largest).await.unwrap();
    tx.commit().await.unwrap();
    let relay = world.start_relay();
    world.everything_arrives_in_order().await;
    relay.stop().await;
}

#[tokio::test]
async fn a_batch_keeps_the_order_in_which_it_was_given() {
    let world = World::new().await;
    let letters: Vec<Event> = (0..200).map(|number| letter(&format!("order-{}", number % 7), number / 7 + 1)).collect();
    append_many_in_tx(&mut world.database.app.acquire().await.unwrap(), ORDERS, &letters).await.unwrap();
    let given: Vec<_> = letters.into_iter().map(|event| (event.subject, event.sequence)).collect();
    assert_eq!(world.letters().await, given);
}

#[tokio::test]
async fn letters_in_the_statement_of_their_rows_are_those_that_it_lets_through_in_the_order_given() {
    let world = World::new().await;
    let mut connection = world.database.app.acquire().await.unwrap();
    let letters: Vec<Event> = (1..=4).map(|number| letter("an-order", number)).collect();
    sqlx::query_with(
        concat!(
            "WITH written AS (SELECT place FROM unnest($10::bigint[]) AS written (place)), told AS (",
            outbox::insert_letters!("WHERE letter.place IN (SELECT place FROM written)"),
            ") SELECT"
        ),
        outbox::first_parameters(ORDERS, &letters).unwrap(),
    )
    .bind([4_i64, 2, 1])
    .execute(&mut *connection)
    .await
    .unwrap();
    assert_eq!(world.letters().await, [1, 2, 4].map(|number| ("an-order".to_owned(), number)));
}

#[tokio::test]
async fn an_empty_batch_writes_nothing() {
    let world = World::new().await;
    append_many_in_tx::<Event>(&mut world.database.app.acquire().await.unwrap(), ORDERS, &[]).await.unwrap();
    assert_eq!(world.letters().await, []);
}

#[tokio::test]
async fn a_place_in_an_aggregates_history_is_given_once() {
    let world = World::new().await;
    let mut connection = world.database.app.acquire().await.unwrap();
    append_in_tx(&mut connection, ORDERS, &letter("an-order", 1)).await.unwrap();
    let again = append_in_tx(&mut connection, ORDERS, &letter("an-order", 1)).await;
    assert!(matches!(again, Err(Error::Database(sqlx::Error::Database(error))) if error.is_unique_violation()));
}
