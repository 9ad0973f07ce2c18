//! Reading letters back.

use contracts::topics::{ORDERS, SHIPMENTS};
use jiff::Timestamp;
use outbox::{Position, append_in_tx, append_many_in_tx, history};

use crate::world::{World, letter};

#[tokio::test]
async fn history_gives_each_aggregates_letters_after_its_position() {
    let world = World::new().await;
    let mut connection = world.database.app.acquire().await.unwrap();
    let letters: Vec<_> = (1..=4).flat_map(|sequence| [letter("a", sequence), letter("b", sequence)]).collect();
    append_many_in_tx(&mut connection, ORDERS, &letters).await.unwrap();
    append_in_tx(&mut connection, SHIPMENTS, &letter("a", 5)).await.unwrap();

    let at = |key, sequence, since| Position { key, sequence, since };
    let positions = [at("a", 2, Timestamp::UNIX_EPOCH), at("b", 0, Timestamp::UNIX_EPOCH)];
    let read = history(&mut connection, ORDERS, &positions, 3).await.unwrap();
    let wanted = [("a", 3), ("a", 4), ("b", 1), ("b", 2), ("b", 3)];
    assert_eq!(read.iter().map(|event| (event.subject.as_str(), event.sequence)).collect::<Vec<_>>(), wanted);
    assert!(read.iter().all(|event| letters.contains(event)), "a letter is read as it was written");

    let later = "2200-01-01T00:00:00Z".parse().unwrap();
    let positions = [at("a", 0, later), at("b", 3, Timestamp::UNIX_EPOCH)];
    let read = history(&mut connection, ORDERS, &positions, 3).await.unwrap();
    assert_eq!(read.iter().map(|event| (event.subject.as_str(), event.sequence)).collect::<Vec<_>>(), [("b", 4)]);
}
