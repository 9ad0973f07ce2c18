//! Where the groups of a database go on when their Kafka is lost and another takes its place.
//!
//! A position is an offset, and the other Kafka may have the same letter at another one. So the groups go back to a place
//! before which each of them has had every letter, whatever its offset is there; what they are given twice finds its natural
//! key or its inbox row. Letters that are parked stay so: a row holds the whole letter, and its key waits behind it as before.

use sqlx::PgConnection;

use crate::{parked, position};

/// A partition, by the topic's name without the namespace.
pub type Partition = (String, i32);

/// What was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// Positions, each of a group in a partition.
    pub positions: u64,
    /// Dead letters whose copies are sent once more: nobody knows whether those on the lost topics arrived here.
    pub copies: u64,
}

/// Every partition in which a group of the database has a position.
pub async fn partitions(conn: &mut PgConnection) -> Result<Vec<Partition>, sqlx::Error> {
    position::known(conn).await
}

/// Lets all groups go on from these places, each a topic, a partition and an offset in the other Kafka; the caller commits.
/// No group is moved forward: one that was far behind stays far behind.
pub async fn go_on_from_in_tx(conn: &mut PgConnection, places: &[(String, i32, i64)]) -> Result<Moved, sqlx::Error> {
    let positions = position::move_back_in_tx(conn, places).await?;
    let copies = parked::copy_again_in_tx(conn).await?;
    Ok(Moved { positions, copies })
}
