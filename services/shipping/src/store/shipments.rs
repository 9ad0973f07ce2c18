//! Shipments.

use std::time::Duration;

use contracts::ids::{AccountId, OrderId, ShipmentId};
use service_runtime::LookBack;
use sqlx::{PgConnection, PgPool, prelude::FromRow};
use uuid::Uuid;

use crate::shipment::{NewShipment, Shipment, Status};

#[derive(Debug, FromRow)]
struct ShipmentRow {
    order_id: Uuid,
    shipment_id: Uuid,
    customer_id: Option<Uuid>,
    status: String,
    version: i64,
    created_at: jiff_sqlx::Timestamp,
    updated_at: jiff_sqlx::Timestamp,
    traceparent: Option<String>,
}

impl TryFrom<ShipmentRow> for Shipment {
    type Error = sqlx::Error;

    fn try_from(row: ShipmentRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: ShipmentId::from(row.shipment_id),
            order: OrderId::from(row.order_id),
            customer: row.customer_id.map(AccountId::from),
            status: status(&row.status)?,
            version: row.version,
            created_at: row.created_at.to_jiff(),
            updated_at: row.updated_at.to_jiff(),
            traceparent: row.traceparent,
        })
    }
}

fn status(word: &str) -> Result<Status, sqlx::Error> {
    Status::from_word(word).ok_or_else(|| sqlx::Error::Decode(format!("no shipment is {word}").into()))
}

/// Makes shipments and gives them; one that is prepared is due after `dispatch_after`. One whose order has one is left out.
pub(crate) async fn insert_in_tx(
    conn: &mut PgConnection,
    new: &[NewShipment<'_>],
    dispatch_after: Duration,
) -> Result<Vec<Shipment>, sqlx::Error> {
    let orders: Vec<Uuid> = new.iter().map(|shipment| shipment.order.as_uuid()).collect();
    let ids: Vec<Uuid> = new.iter().map(|shipment| shipment.id.as_uuid()).collect();
    let customers: Vec<Uuid> = new.iter().map(|shipment| shipment.customer.as_uuid()).collect();
    let statuses: Vec<&str> = new.iter().map(|shipment| shipment.status.word()).collect();
    let traceparents: Vec<Option<&str>> = new.iter().map(|shipment| shipment.traceparent).collect();
    let rows: Vec<ShipmentRow> = sqlx::query_as(
        "INSERT INTO shipment (order_id, shipment_id, customer_id, status, due_at, traceparent)
         SELECT order_id, shipment_id, customer_id, status,
             CASE WHEN status = 'PREPARING' THEN now() + make_interval(secs => $5) END, traceparent
         FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $6::text[])
             AS new(order_id, shipment_id, customer_id, status, traceparent)
         -- sorted: two transactions that make the same shipments wait for each other in one direction only
         ORDER BY order_id
         ON CONFLICT (order_id) DO NOTHING
         RETURNING order_id, shipment_id, customer_id, status, version, created_at, updated_at, traceparent",
    )
    .bind(orders)
    .bind(ids)
    .bind(customers)
    .bind(statuses)
    .bind(dispatch_after.as_secs_f64())
    .bind(traceparents)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Shipment::try_from).collect()
}

/// The shipment of an order.
pub(crate) async fn find(pool: &PgPool, order: OrderId) -> Result<Option<Shipment>, sqlx::Error> {
    let row: Option<ShipmentRow> = sqlx::query_as(
        "SELECT order_id, shipment_id, customer_id, status, version, created_at, updated_at, traceparent
         FROM shipment WHERE order_id = $1",
    )
    .bind(order.as_uuid())
    .fetch_optional(pool)
    .await?;
    row.map(Shipment::try_from).transpose()
}

/// The shipment of an order, which nobody else changes until the transaction ends.
pub(crate) async fn lock_in_tx(conn: &mut PgConnection, order: OrderId) -> Result<Option<Shipment>, sqlx::Error> {
    let row: Option<ShipmentRow> = sqlx::query_as(
        "SELECT order_id, shipment_id, customer_id, status, version, created_at, updated_at, traceparent
         FROM shipment WHERE order_id = $1
         FOR NO KEY UPDATE",
    )
    .bind(order.as_uuid())
    .fetch_optional(conn)
    .await?;
    row.map(Shipment::try_from).transpose()
}

/// Locks shipments whose time has come, those that wait longest first. What another replica has locked is its own.
pub(crate) async fn claim_due_in_tx(
    conn: &mut PgConnection,
    rows_max: usize,
    back: LookBack,
) -> Result<Vec<Shipment>, sqlx::Error> {
    let rows: Vec<ShipmentRow> = sqlx::query_as(
        "SELECT order_id, shipment_id, customer_id, status, version, created_at, updated_at, traceparent
         FROM shipment
         WHERE due_at <= now() AND due_at > now() - make_interval(secs => $2)
         ORDER BY due_at
         LIMIT $1
         FOR NO KEY UPDATE SKIP LOCKED",
    )
    .bind(i64::try_from(rows_max).unwrap_or(i64::MAX))
    .bind(back.seconds())
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Shipment::try_from).collect()
}

/// Moves shipments on and gives them as they then stand. One that is no longer as it was seen stays, and is left out.
pub(crate) async fn move_in_tx(
    conn: &mut PgConnection,
    moves: &[(&Shipment, Status)],
    dispatch_after: Duration,
) -> Result<Vec<Shipment>, sqlx::Error> {
    let orders: Vec<Uuid> = moves.iter().map(|(seen, _)| seen.order.as_uuid()).collect();
    let versions: Vec<i64> = moves.iter().map(|(seen, _)| seen.version).collect();
    let statuses: Vec<&str> = moves.iter().map(|(_, to)| to.word()).collect();
    let rows: Vec<ShipmentRow> = sqlx::query_as(
        "UPDATE shipment
         SET status = move.status, version = version + 1, updated_at = now(),
             due_at = CASE WHEN move.status IN ('PREPARING', 'DISPATCHED')
                           THEN now() + make_interval(secs => $4) END
         FROM unnest($1::uuid[], $2::bigint[], $3::text[]) AS move(order_id, seen, status)
         WHERE shipment.order_id = move.order_id AND shipment.version = move.seen AND shipment.order_id = ANY ($1)
         RETURNING shipment.order_id, shipment_id, customer_id, shipment.status, version, created_at, updated_at, traceparent",
    )
    .bind(orders)
    .bind(versions)
    .bind(statuses)
    .bind(dispatch_after.as_secs_f64())
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Shipment::try_from).collect()
}
