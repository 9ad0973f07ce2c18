//! Orders by letter that are to be charged. All SQL on `charge_work`.

use std::time::Duration;

use contracts::ids::OrderId;
use service_runtime::LookBack;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// An order that is to be charged, claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// The order.
    pub order_id: OrderId,
    /// `inventory.v1.Reserved`, encoded: what is reserved, and so to be charged for.
    pub reserved: Vec<u8>,
    /// How often it was claimed, this time included.
    pub attempts: i32,
    /// The trace of the letter that asked for it.
    pub traceparent: Option<String>,
}

/// Which work to claim. Orders that come back again and again (a card that never replies, an order that order does not
/// know) must not keep new ones waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queue {
    /// What was never attempted.
    New,
    /// What was attempted before.
    Repeated,
}

/// Writes down that an order is to be charged. Nothing happens when it is written down already, or is done with.
pub async fn insert_in_tx(
    conn: &mut PgConnection,
    order_id: OrderId,
    reserved: &[u8],
    traceparent: Option<&str>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO charge_work (order_id, reserved, traceparent)
         SELECT $1, $2, $3
         WHERE NOT EXISTS (SELECT FROM payments WHERE order_id = $1 AND answered_at IS NOT NULL)
         ON CONFLICT (order_id) DO NOTHING",
    )
    .bind(order_id.as_uuid())
    .bind(reserved)
    .bind(traceparent)
    .execute(conn)
    .await?;
    Ok(())
}

/// Claims at most `orders_max` that became due since `back`, those that are due longest first. For the time of the lease nobody else
/// gets them.
pub async fn claim(
    pool: &PgPool,
    queue: Queue,
    orders_max: usize,
    back: LookBack,
    lease: Duration,
) -> Result<Vec<Work>, sqlx::Error> {
    let rows: Vec<(Uuid, Vec<u8>, i32, Option<String>)> = sqlx::query_as(
        // the array is made once, and counts as short: found by the primary key, however much waits
        "UPDATE charge_work
         SET attempt_at = now() + make_interval(secs => $3), attempts = attempts + 1
         WHERE order_id = ANY (ARRAY (
             -- SKIP LOCKED: two processes take different orders instead of waiting for each other
             SELECT order_id FROM charge_work
             WHERE least(attempts, 1) = $1 AND attempt_at <= now() AND attempt_at > now() - make_interval(secs => $4)
             ORDER BY attempt_at
             LIMIT $2
             FOR UPDATE SKIP LOCKED))
         RETURNING order_id, reserved, attempts, traceparent",
    )
    .bind(match queue {
        Queue::New => 0_i32,
        Queue::Repeated => 1,
    })
    .bind(i64::try_from(orders_max).unwrap_or(i64::MAX))
    .bind(lease.as_secs_f64())
    .bind(back.seconds())
    .fetch_all(pool)
    .await?;
    let work = |(order_id, reserved, attempts, traceparent): (Uuid, _, _, _)| Work {
        order_id: order_id.into(),
        reserved,
        attempts,
        traceparent,
    };
    Ok(rows.into_iter().map(work).collect())
}

/// Gives a claimed order back, to be attempted again after a pause that doubles with each attempt, up to `pause_max`.
pub async fn postpone(pool: &PgPool, order_id: OrderId, pause_max: Duration) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE charge_work
         SET attempt_at = now() + make_interval(secs => least($2, 0.125 * 2 ^ least(attempts, 20)))
         WHERE order_id = $1",
    )
    .bind(order_id.as_uuid())
    .bind(pause_max.as_secs_f64())
    .execute(pool)
    .await?;
    Ok(())
}

/// The order is done with.
pub async fn remove_in_tx(conn: &mut PgConnection, order_id: OrderId) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM charge_work WHERE order_id = $1").bind(order_id.as_uuid()).execute(conn).await?;
    Ok(())
}

/// What waits to be charged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backlog {
    /// Orders, counted up to 100,000.
    pub orders: i64,
    /// How long the oldest of them has waited, in seconds; 0 when there is none.
    pub oldest_age_seconds: f64,
}

/// Looks how much waits.
pub async fn backlog(pool: &PgPool) -> Result<Backlog, sqlx::Error> {
    let (orders, oldest_age_seconds) = sqlx::query_as(
        "SELECT count(*), coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8
         FROM (SELECT created_at FROM charge_work LIMIT 100000) AS waiting",
    )
    .fetch_one(pool)
    .await?;
    Ok(Backlog { orders, oldest_age_seconds })
}
