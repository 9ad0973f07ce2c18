//! Reading letters back: the event history of an aggregate, for as long as its partitions are kept.

use contracts::{event::Event, topics::Topic};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::PgConnection;

use crate::letter::LetterRow;

/// Where a reader of one aggregate's history stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position<'a> {
    /// The aggregate.
    pub key: &'a str,
    /// The last sequence number that was read; 0 before the first.
    pub sequence: i64,
    /// A time by the database's clock before which the aggregate had no letter, like that of its creation: days before it
    /// are not looked at.
    pub since: Timestamp,
}

/// What was written to `topic` about each aggregate after the given position, at most `letters_max` for each; ordered
/// by key and sequence. Published or not makes no difference.
pub async fn history(
    conn: &mut PgConnection,
    topic: Topic,
    positions: &[Position<'_>],
    letters_max: u32,
) -> Result<Vec<Event>, sqlx::Error> {
    let keys: Vec<&str> = positions.iter().map(|position| position.key).collect();
    let sequences: Vec<i64> = positions.iter().map(|position| position.sequence).collect();
    let since: Vec<_> = positions.iter().map(|position| position.since.to_sqlx()).collect();
    // one index probe for each key and day, where a plain join might read the whole table
    let rows: Vec<LetterRow> = sqlx::query_as(
        "SELECT letter.*
         FROM unnest($2::text[], $3::bigint[], $4::timestamptz[]) AS reader(key, sequence, since)
         CROSS JOIN LATERAL (
             SELECT id, topic, event_id, key, sequence, event_type, source, occurred_at, traceparent, payload
             FROM outbox
             WHERE topic = $1 AND key = reader.key AND sequence > reader.sequence AND inserted_at >= reader.since
             ORDER BY sequence
             LIMIT $5
         ) AS letter
         ORDER BY letter.key, letter.sequence",
    )
    .bind(topic.name())
    .bind(keys)
    .bind(sequences)
    .bind(since)
    .bind(i64::from(letters_max))
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Event::from).collect())
}
