//! Letters that were set aside. All SQL on `consumer_parked`.
//!
//! A key is blocked for as long as it has a row, and only the first row of a key is ever tried or dead.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use operator_log::{Action, Operator, note_in_tx};
use sqlx::{PgConnection, PgPool};

use crate::{
    backoff,
    batch::{Failure, Slice},
    group::{Group, Partition},
    letter::Letter,
};

/// The longest error that is kept, in characters.
const ERROR_CHARS_MAX: usize = 1_000;

/// Gives a dead letter, by the `id` of its row, to its handler again; so that it is tried as often as at first. The
/// letters behind it follow once it had its effect. `false`: there is no dead letter with this id.
///
/// Noted in the operator log. Not to be dropped in the middle: it is a transaction.
pub async fn redrive(pool: &PgPool, id: i64) -> Result<bool, sqlx::Error> {
    const REDRIVE: &str = r#"UPDATE consumer_parked
        SET state = 'parked', retry_count = 0, next_retry_at = now(), copy_due_at = NULL
        WHERE id = $1 AND state = 'dead'
        RETURNING "group", topic, partition, "offset", substring(key FROM 1 FOR 256) AS key"#;
    decide(pool, id, "redrive", REDRIVE).await
}

/// Drops a dead letter, by the `id` of its row: the group will never see it, and goes on with the letters behind it.
/// `false`: there is no dead letter with this id.
///
/// Noted in the operator log. Not to be dropped in the middle: it is a transaction.
pub async fn discard(pool: &PgPool, id: i64) -> Result<bool, sqlx::Error> {
    const DISCARD: &str = r#"DELETE FROM consumer_parked WHERE id = $1 AND state = 'dead'
        RETURNING "group", topic, partition, "offset", substring(key FROM 1 FOR 256) AS key"#;
    decide(pool, id, "discard", DISCARD).await
}

/// What is noted of a letter.
#[derive(sqlx::FromRow)]
struct Decided {
    group: String,
    topic: String,
    partition: i32,
    offset: i64,
    /// Its first 256 bytes.
    key: Option<Vec<u8>>,
}

/// Decides what becomes of a dead letter, and notes which one it was: of one that is dropped nothing else is left.
async fn decide(pool: &PgPool, id: i64, word: &'static str, statement: &'static str) -> Result<bool, sqlx::Error> {
    let mut tx = pool.begin().await?;
    let decided: Option<Decided> = sqlx::query_as(statement).bind(id).fetch_optional(&mut *tx).await?;
    let Some(Decided { group, topic, partition, offset, key }) = decided else {
        tx.rollback().await?;
        return Ok(false);
    };
    let action = Action::new(Operator::Ops, word, format!("dead-letter/{id}"))
        .with("group", group)
        .with("topic", topic)
        .with("partition", partition)
        .with("offset", offset)
        .with("key", key.map(|key| String::from_utf8_lossy(&key).into_owned()));
    note_in_tx(&mut tx, &action).await?;
    tx.commit().await?;
    Ok(true)
}

/// The blocked keys among those of a batch.
#[derive(Default)]
pub(crate) struct BlockedKeys(HashSet<(&'static str, Vec<u8>)>);

impl BlockedKeys {
    /// Looks which keys of these slices are blocked. No other member can block one meanwhile: only who holds the lock of
    /// a partition's position parks its letters. One that is set free meanwhile merely gets one letter more to retry.
    pub async fn read_in_tx(conn: &mut PgConnection, group: &Group, slices: &[Slice]) -> Result<Self, sqlx::Error> {
        let mut topics = Vec::new();
        let mut keys = Vec::new();
        for slice in slices {
            for key in slice.letters.iter().filter_map(|letter| letter.key()) {
                topics.push(slice.partition.topic);
                keys.push(key);
            }
        }
        let rows: Vec<(String, Vec<u8>)> = sqlx::query_as(
            r#"SELECT DISTINCT topic, key FROM consumer_parked
               WHERE "group" = $1
                   AND (topic, key_hash) IN (
                       SELECT topic, sha256(key) FROM unnest($2::text[], $3::bytea[]) AS asked (topic, key))"#,
        )
        .bind(group.name)
        .bind(topics)
        .bind(keys)
        .fetch_all(conn)
        .await?;
        Ok(Self(rows.into_iter().filter_map(|(topic, key)| Some((group.topic(&topic)?, key))).collect()))
    }

    pub fn contains(&self, topic: &'static str, letter: &Letter) -> bool {
        // there are nearly always none, and to look costs a copy of the key
        !self.0.is_empty() && letter.key().is_some_and(|key| self.0.contains(&(topic, key.to_vec())))
    }

    /// The letter was parked.
    pub fn add(&mut self, topic: &'static str, letter: &Letter) {
        self.0.extend(letter.key().map(|key| (topic, key.to_vec())));
    }
}

/// Parks a letter that was refused. From now on its key is blocked.
pub(crate) async fn park_in_tx(
    conn: &mut PgConnection,
    group: &Group,
    partition: Partition,
    letter: &Letter,
    error: &str,
) -> Result<(), Failure> {
    let retry_in = backoff::before_retry(group.config.retry_backoff, 0);
    insert_in_tx(conn, group, partition, letter, error, retry_in).await
}

/// Parks a letter whose key is blocked. Its turn comes when the letters before it are gone.
pub(crate) async fn park_behind_in_tx(
    conn: &mut PgConnection,
    group: &Group,
    partition: Partition,
    letter: &Letter,
) -> Result<(), Failure> {
    let reason = "waits behind an earlier letter of its key";
    insert_in_tx(conn, group, partition, letter, reason, Duration::ZERO).await
}

async fn insert_in_tx(
    conn: &mut PgConnection,
    group: &Group,
    partition: Partition,
    letter: &Letter,
    error: &str,
    retry_in: Duration,
) -> Result<(), Failure> {
    let (names, values): (Vec<&str>, Vec<Option<&[u8]>>) = letter.headers().unzip();
    let parked = sqlx::query(
        r#"INSERT INTO consumer_parked ("group", topic, partition, "offset", key, header_names, header_values,
               payload, traceparent, error, next_retry_at)
           SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, now() + $11 * interval '1 millisecond'
           WHERE (SELECT count(*) FROM consumer_parked WHERE "group" = $1) < $12"#,
    )
    .bind(group.name)
    .bind(partition.topic)
    .bind(partition.number)
    .bind(letter.offset)
    .bind(letter.key())
    .bind(names)
    .bind(values)
    .bind(letter.payload())
    .bind(letter.traceparent())
    .bind(storable(error))
    .bind(milliseconds(retry_in))
    .bind(i64::from(group.config.parked_letters_max))
    .execute(conn)
    .await?;
    if parked.rows_affected() == 1 { Ok(()) } else { Err(Failure::Full) }
}

/// A row whose turn it is.
pub(crate) struct Parked {
    pub id: i64,
    pub partition: Partition,
    pub letter: Letter,
    pub error: String,
    pub retry_count: i32,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    topic: String,
    partition: i32,
    offset: i64,
    key: Option<Vec<u8>>,
    header_names: Vec<String>,
    header_values: Vec<Option<Vec<u8>>>,
    payload: Option<Vec<u8>>,
    error: String,
    retry_count: i32,
}

impl Row {
    fn into_parked(self, group: &Group) -> Parked {
        let topic = group.topic(&self.topic).expect("the query asks for the group's topics only");
        Parked {
            id: self.id,
            partition: Partition { topic, number: self.partition },
            letter: Letter::new(
                self.offset,
                self.key.as_deref(),
                self.header_names.iter().map(String::as_str).zip(self.header_values.iter().map(Option::as_deref)),
                self.payload.as_deref(),
            ),
            error: self.error,
            retry_count: self.retry_count,
        }
    }
}

/// Locks a letter that is due and the first of its key. Another member that asks meanwhile passes it by, and cannot
/// take the second of the key either: for it the first is still there until this transaction ends.
pub(crate) async fn lock_due_in_tx(conn: &mut PgConnection, group: &Group) -> Result<Option<Parked>, sqlx::Error> {
    let row: Option<Row> = sqlx::query_as(
        r#"SELECT id, topic, partition, "offset", key, header_names, header_values, payload, error, retry_count
           FROM consumer_parked AS due
           WHERE "group" = $1 AND topic = ANY ($2) AND state = 'parked' AND next_retry_at <= now()
               AND NOT EXISTS (
                   SELECT FROM consumer_parked AS earlier
                   WHERE earlier."group" = due."group" AND earlier.topic = due.topic
                       AND earlier.key_hash = due.key_hash AND earlier.id < due.id)
           ORDER BY next_retry_at
           LIMIT 1
           FOR UPDATE SKIP LOCKED"#,
    )
    .bind(group.name)
    .bind(group.topics().collect::<Vec<_>>())
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| row.into_parked(group)))
}

/// Has every letter that is not dead tried now.
pub(crate) async fn make_due(pool: &PgPool, group: &Group) -> Result<(), sqlx::Error> {
    sqlx::query(r#"UPDATE consumer_parked SET next_retry_at = now() WHERE "group" = $1 AND state = 'parked'"#)
        .bind(group.name)
        .execute(pool)
        .await?;
    Ok(())
}

/// How many letters the handler refuses, and how many wait behind them.
pub(crate) async fn count_refused(pool: &PgPool, group: &Group) -> Result<(i64, i64), sqlx::Error> {
    sqlx::query_as(
        r#"SELECT count(*) FILTER (WHERE is_first), count(*) FILTER (WHERE NOT is_first)
           FROM (
               SELECT key_hash IS NULL OR id = min(id) OVER (PARTITION BY topic, key_hash) AS is_first
               FROM consumer_parked WHERE "group" = $1) AS letters"#,
    )
    .bind(group.name)
    .fetch_one(pool)
    .await
}

/// The letters that the handler refuses, so many at the most.
pub(crate) async fn first_refused(
    pool: &PgPool,
    group: &Group,
    letters_max: usize,
) -> Result<Vec<Parked>, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(
        r#"SELECT id, topic, partition, "offset", key, header_names, header_values, payload, error, retry_count
           FROM consumer_parked AS letter
           WHERE "group" = $1 AND topic = ANY ($2)
               AND NOT EXISTS (
                   SELECT FROM consumer_parked AS earlier
                   WHERE earlier."group" = letter."group" AND earlier.topic = letter.topic
                       AND earlier.key_hash = letter.key_hash AND earlier.id < letter.id)
           ORDER BY topic, partition, "offset"
           LIMIT $3"#,
    )
    .bind(group.name)
    .bind(group.topics().collect::<Vec<_>>())
    .bind(i64::try_from(letters_max).unwrap_or(i64::MAX))
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| row.into_parked(group)).collect())
}

/// The letter had its effect: the next of its key is free.
pub(crate) async fn remove_in_tx(conn: &mut PgConnection, id: i64) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM consumer_parked WHERE id = $1").bind(id).execute(conn).await?;
    Ok(())
}

/// The letter was refused once more and is tried again later.
pub(crate) async fn postpone_in_tx(
    conn: &mut PgConnection,
    id: i64,
    error: &str,
    retry_count: i32,
    retry_in: Duration,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE consumer_parked
         SET error = $2, retry_count = $3, next_retry_at = now() + $4 * interval '1 millisecond'
         WHERE id = $1",
    )
    .bind(id)
    .bind(storable(error))
    .bind(retry_count)
    .bind(milliseconds(retry_in))
    .execute(conn)
    .await?;
    Ok(())
}

/// The letter was refused for the last time.
pub(crate) async fn bury_in_tx(
    conn: &mut PgConnection,
    id: i64,
    error: &str,
    retry_count: i32,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE consumer_parked SET error = $2, retry_count = $3, state = 'dead', copy_due_at = now() WHERE id = $1",
    )
    .bind(id)
    .bind(storable(error))
    .bind(retry_count)
    .execute(conn)
    .await?;
    Ok(())
}

/// A dead letter whose copy is to be sent. For the time of the lease no other member will send it.
pub(crate) async fn claim_copy(pool: &PgPool, group: &Group, lease: Duration) -> Result<Option<Parked>, sqlx::Error> {
    let row: Option<Row> = sqlx::query_as(
        r#"UPDATE consumer_parked SET copy_due_at = now() + $3 * interval '1 millisecond'
           WHERE id = (
               SELECT id FROM consumer_parked
               WHERE "group" = $1 AND topic = ANY ($2) AND copy_due_at <= now()
               ORDER BY copy_due_at
               LIMIT 1
               FOR UPDATE SKIP LOCKED)
           RETURNING id, topic, partition, "offset", key, header_names, header_values, payload, error, retry_count"#,
    )
    .bind(group.name)
    .bind(group.topics().collect::<Vec<_>>())
    .bind(milliseconds(lease))
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| row.into_parked(group)))
}

/// The copy is on the dead-letter topic.
pub(crate) async fn copied(pool: &PgPool, id: i64) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE consumer_parked SET copy_due_at = NULL WHERE id = $1").bind(id).execute(pool).await?;
    Ok(())
}

/// Has the copy of every dead letter sent once more. Tells how many there are.
pub(crate) async fn copy_again_in_tx(conn: &mut PgConnection) -> Result<u64, sqlx::Error> {
    let due = sqlx::query("UPDATE consumer_parked SET copy_due_at = now() WHERE state = 'dead'").execute(conn).await?;
    Ok(due.rows_affected())
}

/// How many letters of a group are parked, and how many are dead.
pub(crate) async fn count(pool: &PgPool, group: &Group) -> Result<(i64, i64), sqlx::Error> {
    sqlx::query_as(
        r#"SELECT count(*) FILTER (WHERE state = 'parked'), count(*) FILTER (WHERE state = 'dead')
           FROM consumer_parked WHERE "group" = $1"#,
    )
    .bind(group.name)
    .fetch_one(pool)
    .await
}

/// By group and topic, how many letters are parked, and how many are dead.
pub(crate) type Counts = BTreeMap<(String, String), (i64, i64)>;

/// [`count`] of every group, by topic.
pub(crate) async fn count_all(pool: &PgPool) -> Result<Counts, sqlx::Error> {
    let rows: Vec<(String, String, i64, i64)> = sqlx::query_as(
        r#"SELECT "group", topic, count(*) FILTER (WHERE state = 'parked'), count(*) FILTER (WHERE state = 'dead')
           FROM consumer_parked GROUP BY "group", topic"#,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|(group, topic, parked, dead)| ((group, topic), (parked, dead))).collect())
}

/// As a text column takes it: Postgres has no NUL, and an error may quote a whole letter.
fn storable(error: &str) -> String {
    error.chars().take(ERROR_CHARS_MAX).map(|c| if c == '\0' { '\u{fffd}' } else { c }).collect()
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
