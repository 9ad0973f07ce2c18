//! Orders that have waited long: what operators see of them, and when they are taken up. All SQL of `stuck.rs`.

use std::{collections::BTreeMap, time::Duration};

use contracts::ids::OrderId;
use serde::Serialize;
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

use crate::{error::OrderError, order::PlacedBy, saga::State};

use super::state_and_door;

/// An order that has something left to do.
#[derive(Debug)]
pub struct Waiting {
    /// The order.
    pub id: OrderId,
    /// Where its saga stands, and how it came in; `None` when the row cannot be read.
    pub stands: Option<(State, PlacedBy)>,
    /// The state's name, whatever it is.
    pub state_name: String,
    /// When the order changed last, by order's clock.
    pub since: jiff::Timestamp,
    /// How long ago that was, by the database's clock.
    pub waiting_seconds: i64,
    /// How often recovery has taken it up since.
    pub attempts: i32,
    /// Why the last attempt came to nothing.
    pub last_error: Option<String>,
    /// When recovery takes it up again.
    pub next_attempt_at: jiff::Timestamp,
    /// When it is given up, if it is not decided by then.
    pub decide_by: jiff::Timestamp,
}

/// Orders with something left to do that have not changed for so long, by their ids, hence the oldest first. Most orders have
/// nothing left to do and are not looked at.
pub async fn list(
    pool: &PgPool,
    longer_than: Duration,
    after: Option<OrderId>,
    limit: u32,
) -> Result<Vec<Waiting>, OrderError> {
    #[derive(FromRow)]
    struct Row {
        order_id: Uuid,
        saga_state: String,
        reason: Option<String>,
        placed_by: String,
        updated_at: jiff_sqlx::Timestamp,
        waiting_seconds: i64,
        attempts: i32,
        last_error: Option<String>,
        attempt_at: jiff_sqlx::Timestamp,
        decide_by: jiff_sqlx::Timestamp,
    }
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT order_id, saga_state, reason, placed_by, updated_at, attempts, last_error, attempt_at, decide_by,
             greatest(extract(epoch FROM now() - updated_at), 0)::bigint AS waiting_seconds
         FROM orders
         WHERE attempt_at IS NOT NULL AND updated_at <= now() - make_interval(secs => $1)
             AND ($2::uuid IS NULL OR order_id > $2)
         ORDER BY order_id LIMIT $3",
    )
    .bind(longer_than.as_secs_f64())
    .bind(after.map(OrderId::as_uuid))
    .bind(i64::from(limit))
    .fetch_all(pool)
    .await?;
    let waiting = rows.into_iter().map(|row| Waiting {
        id: row.order_id.into(),
        stands: state_and_door(&row.saga_state, row.reason.as_deref(), &row.placed_by),
        state_name: row.saga_state,
        since: row.updated_at.to_jiff(),
        waiting_seconds: row.waiting_seconds,
        attempts: row.attempts,
        last_error: row.last_error,
        next_attempt_at: row.attempt_at.to_jiff(),
        decide_by: row.decide_by.to_jiff(),
    });
    Ok(waiting.collect())
}

/// How many orders have something left to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Backlog {
    /// Counted up to 100,000, over all states.
    pub orders: i64,
    /// How long the one of them has not changed that waits longest, in seconds.
    pub oldest_age_seconds: f64,
}

/// Looks how many orders have something left to do, by the names of their states. It reads what recovery reads: most orders have
/// nothing left to do and are not looked at.
pub async fn backlog(pool: &PgPool) -> Result<BTreeMap<String, Backlog>, sqlx::Error> {
    let rows: Vec<(String, i64, f64)> = sqlx::query_as(
        "SELECT saga_state, count(*), coalesce(extract(epoch FROM now() - min(updated_at)), 0)::float8
         FROM (SELECT saga_state, updated_at FROM orders WHERE attempt_at IS NOT NULL LIMIT 100000) AS unsettled
         GROUP BY saga_state",
    )
    .fetch_all(pool)
    .await?;
    let backlog =
        rows.into_iter().map(|(state, orders, age)| (state, Backlog { orders, oldest_age_seconds: age.max(0.0) }));
    Ok(backlog.collect())
}

/// Makes an order due, as if for the first time, and gives the name of its state. `None` when nothing is left to do for it. Whoever
/// has it in work now goes on: two at a time do no harm.
pub async fn attempt_now_in_tx(conn: &mut PgConnection, id: OrderId) -> Result<Option<String>, OrderError> {
    let state = sqlx::query_scalar(
        "UPDATE orders SET attempt_at = now(), attempts = 0 WHERE order_id = $1 AND attempt_at IS NOT NULL
         RETURNING saga_state",
    )
    .bind(id.as_uuid())
    .fetch_optional(conn)
    .await?;
    Ok(state)
}

/// The order's time to be decided is over now.
pub async fn end_time_in_tx(conn: &mut PgConnection, id: OrderId) -> Result<(), OrderError> {
    sqlx::query("UPDATE orders SET decide_by = least(decide_by, now()) WHERE order_id = $1")
        .bind(id.as_uuid())
        .execute(conn)
        .await?;
    Ok(())
}
