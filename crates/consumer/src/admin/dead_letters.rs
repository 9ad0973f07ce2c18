//! Dead letters, as operators see them.

use axum::extract::{Path, Query, State};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Serialize, Serializer};
use service_runtime::operator::{Answer, Page, PageQuery, Refusal, uncut};
use sqlx::{FromRow, PgExecutor, PgPool};
use tracing::warn;

use crate::parked;

/// A dead letter in a list.
#[derive(Debug, Serialize, FromRow)]
pub(super) struct DeadLetter {
    /// Of its row, in this service's database.
    id: i64,
    group: String,
    topic: String,
    partition: i32,
    offset: i64,
    /// Its first 256 bytes, as text.
    #[serde(serialize_with = "text")]
    key: Option<Vec<u8>>,
    /// Why it was refused the last time.
    error: String,
    retry_count: i32,
    /// How many later letters of its key wait until it is redriven or discarded.
    waiting_behind: i64,
}

/// A letter, whole.
#[derive(Debug, Serialize)]
pub(super) struct Letter {
    #[serde(flatten)]
    summary: DeadLetter,
    headers: Vec<Header>,
    /// Base64; null for a tombstone.
    payload: Option<String>,
    /// The trace that it belongs to, if it says so.
    trace_id: Option<String>,
    /// RFC 3339.
    parked_at: String,
    /// `dead`, or `parked` while it is being retried.
    state: String,
}

#[derive(Debug, Serialize)]
struct Header {
    name: String,
    #[serde(serialize_with = "text")]
    value: Option<Vec<u8>>,
}

#[derive(Debug, FromRow)]
struct Row {
    #[sqlx(flatten)]
    letter: DeadLetter,
    header_names: Vec<String>,
    header_values: Vec<Option<Vec<u8>>>,
    payload: Option<Vec<u8>>,
    traceparent: Option<String>,
    parked_at: String,
    state: String,
}

/// The columns of a [`DeadLetter`].
macro_rules! columns {
    () => {
        r#"id, "group", topic, partition, "offset", substring(key FROM 1 FOR 256) AS key, error, retry_count,
           (SELECT count(*) FROM consumer_parked AS later
            WHERE later."group" = letter."group" AND later.topic = letter.topic
                AND later.key_hash = letter.key_hash AND later.id > letter.id) AS waiting_behind"#
    };
}

pub(super) async fn list(State(pool): State<PgPool>, Query(page): Query<PageQuery>) -> Answer<Page<DeadLetter>> {
    let (limit, after) = (page.limit()?, page.cursor()?.unwrap_or(0_i64));
    uncut(async move {
        let letters: Vec<DeadLetter> = sqlx::query_as(concat!(
            "SELECT ",
            columns!(),
            " FROM consumer_parked AS letter WHERE state = 'dead' AND id > $1 ORDER BY id LIMIT $2"
        ))
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(&pool)
        .await?;
        Ok(Page::of(letters, limit, |letter| letter.id))
    })
    .await
}

pub(super) async fn show(State(pool): State<PgPool>, Path(id): Path<i64>) -> Answer<Letter> {
    uncut(async move { Ok(find(&pool, id).await?.into()) }).await
}

pub(super) async fn redrive(State(pool): State<PgPool>, Path(id): Path<i64>) -> Answer<DeadLetter> {
    uncut(async move {
        let letter = find_dead(&pool, id).await?;
        if !parked::redrive(&pool, id).await? {
            return Err(not_dead_any_more(id));
        }
        warn!(group = letter.group, topic = letter.topic, id, "an operator redrives a dead letter");
        Ok(letter)
    })
    .await
}

pub(super) async fn discard(State(pool): State<PgPool>, Path(id): Path<i64>) -> Answer<DeadLetter> {
    uncut(async move {
        let letter = find_dead(&pool, id).await?;
        if !parked::discard(&pool, id).await? {
            return Err(not_dead_any_more(id));
        }
        warn!(group = letter.group, topic = letter.topic, id, "an operator discards a dead letter");
        Ok(letter)
    })
    .await
}

/// A letter that is set aside, dead or not.
async fn find(database: impl PgExecutor<'_>, id: i64) -> Result<Row, Refusal> {
    let row: Option<Row> = sqlx::query_as(concat!(
        "SELECT ",
        columns!(),
        r#", header_names, header_values, payload, traceparent, state,
             to_char(parked_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS parked_at
         FROM consumer_parked AS letter WHERE id = $1"#
    ))
    .bind(id)
    .fetch_optional(database)
    .await?;
    row.ok_or_else(|| Refusal::not_found(format!("there is no dead letter {id}: it was done, discarded, or never was")))
}

async fn find_dead(database: impl PgExecutor<'_>, id: i64) -> Result<DeadLetter, Refusal> {
    let row = find(database, id).await?;
    if row.state == "dead" {
        Ok(row.letter)
    } else {
        Err(Refusal::conflict(format!("letter {id} is not dead: it is being retried, or waits behind one of its key")))
    }
}

fn not_dead_any_more(id: i64) -> Refusal {
    Refusal::conflict(format!("letter {id} is not dead any more: somebody else was faster"))
}

impl From<Row> for Letter {
    fn from(row: Row) -> Self {
        let headers = row.header_names.into_iter().zip(row.header_values);
        Self {
            summary: row.letter,
            headers: headers.map(|(name, value)| Header { name, value }).collect(),
            payload: row.payload.map(|payload| STANDARD.encode(payload)),
            // version, trace, parent, flags
            trace_id: row.traceparent.and_then(|it| it.split('-').nth(1).map(str::to_owned)),
            parked_at: row.parked_at,
            state: row.state,
        }
    }
}

/// Bytes that are text nearly always; what is none is replaced.
#[expect(clippy::ref_option, reason = "serde calls it with a reference to the field")]
fn text<S: Serializer>(bytes: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
    bytes.as_deref().map(String::from_utf8_lossy).serialize(serializer)
}
