//! A letter as the table holds it, and the relay's way of reading those that wait.

use contracts::event::Event;
use sqlx::{PgConnection, prelude::FromRow};
use uuid::Uuid;

use crate::progress::Progress;

/// The most letters of one round. Enough that the two round trips of a round weigh little, and few enough that what a
/// crash repeats is published again in a moment.
pub(crate) const ROUND_LETTERS_MAX: usize = 2_000;

/// Payload bytes after which a round takes no further letter; the last one may reach beyond.
pub(crate) const ROUND_BYTES: usize = 4 * 1024 * 1024;

/// The most waiting letters that are counted: counting costs about 0.1 ms for each thousand.
const COUNTED_MAX: i64 = 100_000;

/// A row of the outbox: the envelope as it will be sent, and where.
#[derive(Debug, FromRow)]
pub struct LetterRow {
    /// Its place among all letters of the database.
    pub id: i64,
    /// The topic's name, without the namespace.
    pub topic: String,
    /// `ce_id`.
    pub event_id: Uuid,
    /// The aggregate, `ce_subject`.
    pub key: String,
    /// `ce_sequence`.
    pub sequence: i64,
    /// `ce_type`.
    pub event_type: String,
    /// `ce_source`.
    pub source: String,
    /// `ce_time`.
    pub occurred_at: jiff_sqlx::Timestamp,
    /// The trace in which it was written.
    pub traceparent: Option<String>,
    /// Protobuf.
    pub payload: Vec<u8>,
}

impl From<LetterRow> for Event {
    fn from(row: LetterRow) -> Self {
        Self {
            id: row.event_id,
            event_type: row.event_type,
            source: row.source,
            subject: row.key,
            time: row.occurred_at.to_jiff(),
            sequence: row.sequence,
            traceparent: row.traceparent,
            payload: row.payload,
        }
    }
}

/// The oldest letters that are not published, in the order of their ids.
///
/// All gaps are read in one statement, hence in one snapshot: a letter in it comes with every earlier letter of its
/// key that is not published yet.
///
/// It costs about 0.1 ms and the letters, for a month of partitions; each further gap adds as much.
pub(crate) async fn unpublished(
    connection: &mut PgConnection,
    progress: &Progress,
) -> Result<Vec<LetterRow>, sqlx::Error> {
    let (lows, highs) = gaps(progress);
    sqlx::query_as(
        "SELECT id, topic, event_id, key, sequence, event_type, source, occurred_at, traceparent, payload
         FROM (
             SELECT letter.*, sum(octet_length(payload)) OVER (ORDER BY id) - octet_length(payload) AS bytes_before
             FROM (
                 SELECT in_gap.*
                 FROM unnest($1::bigint[], $2::bigint[]) AS gap(low, high)
                 CROSS JOIN LATERAL (
                     SELECT * FROM outbox WHERE id BETWEEN gap.low AND gap.high ORDER BY id LIMIT $3
                 ) AS in_gap
                 ORDER BY in_gap.id
                 LIMIT $3
             ) AS letter
         ) AS letter
         WHERE bytes_before < $4
         ORDER BY id",
    )
    .bind(lows)
    .bind(highs)
    .bind(i64::try_from(ROUND_LETTERS_MAX).expect("a small constant"))
    .bind(i64::try_from(ROUND_BYTES).expect("a small constant"))
    .fetch_all(connection)
    .await
}

/// How much waits.
#[derive(Debug, FromRow)]
pub(crate) struct Backlog {
    /// Letters, counted up to [`COUNTED_MAX`].
    pub letters: i64,
    /// Age of the oldest, by the database's clock; 0 when there is none.
    pub oldest_age_seconds: f64,
}

/// Counts what waits.
pub(crate) async fn backlog(connection: &mut PgConnection, progress: &Progress) -> Result<Backlog, sqlx::Error> {
    let (lows, highs) = gaps(progress);
    sqlx::query_as(
        "SELECT count(*) AS letters,
             coalesce(extract(epoch FROM clock_timestamp() - min(inserted_at)), 0)::float8 AS oldest_age_seconds
         FROM (
             SELECT inserted_at
             FROM unnest($1::bigint[], $2::bigint[]) AS gap(low, high)
             CROSS JOIN LATERAL (
                 SELECT inserted_at FROM outbox WHERE id BETWEEN gap.low AND gap.high ORDER BY id LIMIT $3
             ) AS in_gap
             LIMIT $3
         ) AS waiting",
    )
    .bind(lows)
    .bind(highs)
    .bind(COUNTED_MAX)
    .fetch_one(connection)
    .await
}

fn gaps(progress: &Progress) -> (Vec<i64>, Vec<i64>) {
    progress.gaps().unzip()
}
