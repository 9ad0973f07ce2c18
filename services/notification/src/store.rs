//! All SQL of notification. What is due, and who is at it, this database's clock decides alone.

use std::time::Duration;

use contracts::ids::{AccountId, OrderId};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use service_runtime::LookBack;
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

use crate::{
    message::{DueMessage, ListedMessage, NewMessage},
    text::Text,
};

/// The first pause after an attempt that failed. It doubles with each attempt.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_mins(5);

/// A place in a customer's list: the message before the next page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub created_at: Timestamp,
    pub id: Uuid,
}

/// What waits to be sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Backlog {
    /// Counted up to 100,000.
    pub messages: i64,
    /// How long the oldest of these has waited.
    pub oldest_age_seconds: f64,
}

/// Writes messages, due at once. One that is there already stays as it is.
pub(crate) async fn insert_in_tx(conn: &mut PgConnection, messages: &[NewMessage]) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = messages.iter().map(|message| message.id).collect();
    let customers: Vec<Uuid> = messages.iter().map(|message| message.customer.as_uuid()).collect();
    let orders: Vec<Uuid> = messages.iter().map(|message| message.order.as_uuid()).collect();
    let event_types: Vec<&str> = messages.iter().map(|message| message.event_type.as_str()).collect();
    let subjects: Vec<&str> = messages.iter().map(|message| message.text.subject.as_str()).collect();
    let bodies: Vec<&str> = messages.iter().map(|message| message.text.body.as_str()).collect();
    let traceparents: Vec<Option<&str>> = messages.iter().map(|message| message.traceparent.as_deref()).collect();
    sqlx::query(
        "INSERT INTO message (message_id, customer_id, order_id, event_type, subject, body, traceparent)
         SELECT message_id, customer_id, order_id, event_type, subject, body, traceparent
         FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[])
             WITH ORDINALITY
             AS told(message_id, customer_id, order_id, event_type, subject, body, traceparent, place)
         -- sorted: two transactions that write the same messages wait for each other in one direction only
         ORDER BY message_id, place
         ON CONFLICT (message_id) DO NOTHING",
    )
    .bind(ids)
    .bind(customers)
    .bind(orders)
    .bind(event_types)
    .bind(subjects)
    .bind(bodies)
    .bind(traceparents)
    .execute(conn)
    .await?;
    Ok(())
}

/// At most `limit` messages to a customer, newest first, those after `after` in that order.
pub(crate) async fn list(
    pool: &PgPool,
    customer: AccountId,
    after: Option<Place>,
    limit: u32,
) -> Result<Vec<ListedMessage>, sqlx::Error> {
    #[derive(FromRow)]
    struct Row {
        message_id: Uuid,
        order_id: Uuid,
        event_type: String,
        subject: String,
        body: String,
        created_at: jiff_sqlx::Timestamp,
        sent_at: Option<jiff_sqlx::Timestamp>,
    }
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT message_id, order_id, event_type, subject, body, created_at, sent_at
         FROM message
         WHERE customer_id = $1 AND ($2::timestamptz IS NULL OR (created_at, message_id) < ($2, $3))
         ORDER BY created_at DESC, message_id DESC
         LIMIT $4",
    )
    .bind(customer.as_uuid())
    .bind(after.map(|place| place.created_at.to_sqlx()))
    .bind(after.map(|place| place.id))
    .bind(i64::from(limit))
    .fetch_all(pool)
    .await?;
    let listed = rows.into_iter().map(|row| ListedMessage {
        id: row.message_id,
        order: OrderId::from(row.order_id),
        event_type: row.event_type,
        text: Text { subject: row.subject, body: row.body },
        created_at: row.created_at.to_jiff(),
        sent_at: row.sent_at.map(jiff_sqlx::Timestamp::to_jiff),
    });
    Ok(listed.collect())
}

/// Claims messages that became due since `back`, for `lease`, those that wait longest first. Whoever claims and then crashes loses the lease,
/// nothing else.
pub(crate) async fn claim_due(
    conn: &mut PgConnection,
    messages_max: usize,
    back: LookBack,
    lease: Duration,
) -> Result<Vec<DueMessage>, sqlx::Error> {
    let rows: Vec<(Uuid, Uuid, Uuid, String, String, Option<String>)> = sqlx::query_as(
        // an array is made once; a join could run its query several times, and claim more than the limit
        "UPDATE message SET attempt_at = now() + make_interval(secs => $2), attempts = attempts + 1, failure = NULL
         WHERE message_id = ANY (ARRAY (
             -- SKIP LOCKED: two processes take different messages instead of waiting for each other
             SELECT message_id FROM message
             WHERE attempt_at <= now() AND attempt_at > now() - make_interval(secs => $3) ORDER BY attempt_at LIMIT $1
             FOR UPDATE SKIP LOCKED))
         RETURNING message_id, customer_id, order_id, subject, body, traceparent",
    )
    .bind(i64::try_from(messages_max).unwrap_or(i64::MAX))
    .bind(lease.as_secs_f64())
    .bind(back.seconds())
    .fetch_all(conn)
    .await?;
    let due = rows.into_iter().map(|(id, customer, order, subject, body, traceparent)| DueMessage {
        id,
        customer: AccountId::from(customer),
        order: OrderId::from(order),
        text: Text { subject, body },
        traceparent,
    });
    Ok(due.collect())
}

/// Notes that messages were sent. Whoever else has sent one of them, after a lease that was too short, has noted it.
pub(crate) async fn mark_sent(conn: &mut PgConnection, ids: &[Uuid]) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE message SET state = 'SENT', sent_at = now(), attempt_at = NULL
         WHERE message_id = ANY ($1) AND state = 'DUE'",
    )
    .bind(ids)
    .execute(conn)
    .await?;
    Ok(())
}

/// Gives a message back after an outage, to be tried again after a pause.
pub(crate) async fn postpone(pool: &PgPool, id: Uuid, failure: &str) -> Result<(), sqlx::Error> {
    give_back(pool, id, failure, 0, u32::MAX).await?;
    Ok(())
}

/// Gives a message back after a final no, to be tried again after a pause; after the last of `refusals_max` it is FAILED,
/// and the answer is true.
pub(crate) async fn refuse(pool: &PgPool, id: Uuid, failure: &str, refusals_max: u32) -> Result<bool, sqlx::Error> {
    give_back(pool, id, failure, 1, refusals_max).await
}

async fn give_back(
    pool: &PgPool,
    id: Uuid,
    failure: &str,
    refusals: i32,
    refusals_max: u32,
) -> Result<bool, sqlx::Error> {
    let has_failed: Option<bool> = sqlx::query_scalar(
        "UPDATE message
         SET failure = $2, refusals = refusals + $3,
             state = CASE WHEN refusals + $3 >= $4 THEN 'FAILED' ELSE 'DUE' END,
             -- up to a fifth more or less, so that what failed together does not come back together
             attempt_at = CASE WHEN refusals + $3 < $4 THEN now() + make_interval(
                 secs => least($6, $5 * 2 ^ least(attempts - 1, 20)) * (0.8 + 0.4 * random())) END
         WHERE message_id = $1 AND state = 'DUE'
         RETURNING state = 'FAILED'",
    )
    .bind(id)
    .bind(failure)
    .bind(refusals)
    .bind(i64::from(refusals_max))
    .bind(PAUSE.as_secs_f64())
    .bind(PAUSE_MAX.as_secs_f64())
    .fetch_optional(pool)
    .await?;
    // nothing to give back: somebody else was at it after the lease had ended, and has sent it
    Ok(has_failed.unwrap_or(false))
}

/// What waits to be sent.
pub(crate) async fn backlog(pool: &PgPool) -> Result<Backlog, sqlx::Error> {
    let (messages, oldest_age_seconds) = sqlx::query_as(
        "SELECT count(*), coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8
         FROM (SELECT created_at FROM message WHERE attempt_at IS NOT NULL LIMIT 100000) AS due",
    )
    .fetch_one(pool)
    .await?;
    Ok(Backlog { messages, oldest_age_seconds })
}
