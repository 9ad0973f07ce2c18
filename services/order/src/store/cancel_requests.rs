//! Requests to cancel, by their keys: the same key gets the same answer, for a day.

use std::time::Duration;

use contracts::{
    ids::{AccountId, OrderId},
    order::v1::CancelOrderResponse,
};
use prost::Message;
use sqlx::{PgConnection, PgPool};

use crate::error::OrderError;

/// The scope of a key: one order and whoever asks.
#[derive(Debug, Clone)]
pub struct CancelKey {
    /// Which order.
    pub order_id: OrderId,
    /// Who asks.
    pub requester: AccountId,
    /// The caller's name for this request.
    pub idempotency_key: String,
}

/// What is kept about a request.
#[derive(Debug)]
pub struct KeptRequest {
    /// The answer, once decided.
    pub answer: Option<CancelOrderResponse>,
    /// Whether the first request with this key may still be waiting for it.
    pub is_in_flight: bool,
}

/// The request with this key.
pub async fn find(pool: &PgPool, key: &CancelKey) -> Result<Option<KeptRequest>, OrderError> {
    let row: Option<(Option<Vec<u8>>, bool)> = sqlx::query_as(
        "SELECT answer, in_flight_until > now() FROM cancel_request
         WHERE order_id = $1 AND requester = $2 AND idempotency_key = $3",
    )
    .bind(key.order_id.as_uuid())
    .bind(key.requester.as_uuid())
    .bind(&key.idempotency_key)
    .fetch_optional(pool)
    .await?;
    let Some((answer, is_in_flight)) = row else { return Ok(None) };
    let answer = answer.map(|bytes| CancelOrderResponse::decode(bytes.as_slice())).transpose();
    let corrupt = |_| OrderError::Corrupt { id: key.order_id, detail: "the answer to a cancel".to_owned() };
    Ok(Some(KeptRequest { answer: answer.map_err(corrupt)?, is_in_flight }))
}

/// Keeps a request. False when the key has one.
pub async fn insert_in_tx(conn: &mut PgConnection, key: &CancelKey, in_flight: Duration) -> Result<bool, OrderError> {
    let inserted = sqlx::query(
        "INSERT INTO cancel_request (order_id, requester, idempotency_key, in_flight_until)
         VALUES ($1, $2, $3, now() + make_interval(secs => $4))
         ON CONFLICT DO NOTHING",
    )
    .bind(key.order_id.as_uuid())
    .bind(key.requester.as_uuid())
    .bind(&key.idempotency_key)
    .bind(in_flight.as_secs_f64())
    .execute(conn)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Gives every request that waits for this order its answer.
pub async fn answer_in_tx(
    conn: &mut PgConnection,
    order_id: OrderId,
    answer: &CancelOrderResponse,
) -> Result<(), OrderError> {
    sqlx::query("UPDATE cancel_request SET answer = $2 WHERE order_id = $1 AND answer IS NULL")
        .bind(order_id.as_uuid())
        .bind(answer.encode_to_vec())
        .execute(conn)
        .await?;
    Ok(())
}

/// Nobody waits for the answer any more: a retry is told how the order stands.
pub async fn land(pool: &PgPool, key: &CancelKey) -> Result<(), OrderError> {
    sqlx::query(
        "UPDATE cancel_request SET in_flight_until = now()
         WHERE order_id = $1 AND requester = $2 AND idempotency_key = $3",
    )
    .bind(key.order_id.as_uuid())
    .bind(key.requester.as_uuid())
    .bind(&key.idempotency_key)
    .execute(pool)
    .await?;
    Ok(())
}

/// Forgets requests that are older than `kept`, at most `rows_max` of them. Gives how many it were.
pub async fn forget_old(pool: &PgPool, kept: Duration, rows_max: u64) -> Result<u64, OrderError> {
    let deleted = sqlx::query(
        "DELETE FROM cancel_request WHERE ctid = ANY (ARRAY(
             SELECT ctid FROM cancel_request
             WHERE created_at < now() - make_interval(secs => $1) ORDER BY created_at LIMIT $2))",
    )
    .bind(kept.as_secs_f64())
    .bind(i64::try_from(rows_max).unwrap_or(i64::MAX))
    .execute(pool)
    .await?;
    Ok(deleted.rows_affected())
}
