//! All SQL of analytics.

use contracts::{event::Event, ids::OrderId, money::Money};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::{PgConnection, PgPool, prelude::FromRow};
use uuid::Uuid;

use crate::{
    letter::{Letter, SoldLine},
    span::{Span, Window},
};

/// Keeps a letter. `false` when it is kept already, and so was counted.
pub(crate) async fn keep_letter_in_tx(
    conn: &mut PgConnection,
    event: &Event,
    letter: &Letter,
) -> Result<bool, sqlx::Error> {
    let kept = sqlx::query(
        "INSERT INTO timeline (event_id, order_id, event_type, source, occurred_at, sequence, data)
         VALUES ($1, $2, $3, $4, $5, $6, $7::json)
         ON CONFLICT (event_id) DO NOTHING",
    )
    .bind(event.id)
    .bind(letter.order.as_uuid())
    .bind(&event.event_type)
    .bind(&event.source)
    .bind(event.time.to_sqlx())
    .bind(event.sequence)
    .bind(&letter.data_json)
    .execute(conn)
    .await?;
    Ok(kept.rows_affected() == 1)
}

/// Waits until no other transaction counts, and keeps others from it until the end of this one. Two replicas would update
/// the same few rows (this minute's, the best sellers') in the order of their letters, each in its own: a deadlock. They
/// would wait for each other anyway, at the minute's row, so this costs no speed. The table names the lock: while it is built
/// anew, the old and the new one are counted into side by side.
pub(crate) async fn begin_counting_in_tx(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_advisory_xact_lock('sales_minute'::regclass::oid::bigint)").execute(conn).await?;
    Ok(())
}

/// Adds a completed order to its minute.
pub(crate) async fn add_sale_in_tx(
    conn: &mut PgConnection,
    minute: Timestamp,
    total: Money,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO sales_minute AS before (minute, currency, orders, revenue_minor)
         VALUES ($1, $2, 1, $3)
         ON CONFLICT (minute, currency) DO UPDATE
         SET orders = before.orders + 1, revenue_minor = before.revenue_minor + excluded.revenue_minor",
    )
    .bind(minute.to_sqlx())
    .bind(total.currency_code())
    .bind(total.minor_units())
    .execute(conn)
    .await?;
    Ok(())
}

/// Adds a completed order that was cancelled to the minute of its cancellation.
pub(crate) async fn add_cancellation_in_tx(
    conn: &mut PgConnection,
    minute: Timestamp,
    refunded: Money,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO sales_minute AS before (minute, currency, cancelled_orders, refunded_minor)
         VALUES ($1, $2, 1, $3)
         ON CONFLICT (minute, currency) DO UPDATE
         SET cancelled_orders = before.cancelled_orders + 1,
             refunded_minor = before.refunded_minor + excluded.refunded_minor",
    )
    .bind(minute.to_sqlx())
    .bind(refunded.currency_code())
    .bind(refunded.minor_units())
    .execute(conn)
    .await?;
    Ok(())
}

/// Adds what an order bought to the products of its minute.
pub(crate) async fn add_products_in_tx(
    conn: &mut PgConnection,
    minute: Timestamp,
    lines: &[SoldLine],
) -> Result<(), sqlx::Error> {
    let skus: Vec<&str> = lines.iter().map(|line| line.sku.as_str()).collect();
    let currencies: Vec<&str> = lines.iter().map(|line| line.revenue.currency_code()).collect();
    let quantities: Vec<i64> = lines.iter().map(|line| line.quantity.get().into()).collect();
    let revenues: Vec<i64> = lines.iter().map(|line| line.revenue.minor_units()).collect();
    // grouped, because one statement must not meet the same row twice
    sqlx::query(
        "INSERT INTO product_minute AS before (minute, sku, currency, quantity, revenue_minor)
         SELECT $1, sku, currency, sum(quantity)::bigint, sum(revenue_minor)::bigint
         FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[]) AS line (sku, currency, quantity, revenue_minor)
         GROUP BY sku, currency
         ON CONFLICT (minute, sku, currency) DO UPDATE
         SET quantity = before.quantity + excluded.quantity,
             revenue_minor = before.revenue_minor + excluded.revenue_minor",
    )
    .bind(minute.to_sqlx())
    .bind(skus)
    .bind(currencies)
    .bind(quantities)
    .bind(revenues)
    .execute(conn)
    .await?;
    Ok(())
}

/// What happened in one window, in one currency.
#[derive(Debug, FromRow)]
pub(crate) struct SalesRow {
    /// The start of the window.
    pub start: jiff_sqlx::Timestamp,
    pub currency: String,
    pub orders: i64,
    pub revenue_minor: i64,
    pub cancelled_orders: i64,
    pub refunded_minor: i64,
}

/// The windows of a span in which something happened, oldest first, and by currency. Each is summed from its minutes; a sum
/// that is too large fails (22003).
pub(crate) async fn sales(pool: &PgPool, window: Window, span: Span) -> Result<Vec<SalesRow>, sqlx::Error> {
    sqlx::query_as(
        "SELECT date_bin(make_interval(secs => $1), minute, TIMESTAMPTZ 'epoch') AS start, currency,
             sum(orders)::bigint AS orders, sum(revenue_minor)::bigint AS revenue_minor,
             sum(cancelled_orders)::bigint AS cancelled_orders, sum(refunded_minor)::bigint AS refunded_minor
         FROM sales_minute
         WHERE minute >= $2 AND minute < $3
         GROUP BY start, currency
         ORDER BY start, currency",
    )
    .bind(f64::from(window.seconds()))
    .bind(span.from.to_sqlx())
    .bind(span.to.to_sqlx())
    .fetch_all(pool)
    .await
}

/// What was sold of one product, in one currency.
#[derive(Debug, FromRow)]
pub(crate) struct ProductRow {
    pub sku: String,
    pub currency: String,
    pub quantity: i64,
    pub revenue_minor: i64,
}

/// The products that sold best by quantity, then by SKU.
pub(crate) async fn top_products(pool: &PgPool, span: Span, limit: u32) -> Result<Vec<ProductRow>, sqlx::Error> {
    sqlx::query_as(
        "SELECT sku, currency, sum(quantity)::bigint AS quantity, sum(revenue_minor)::bigint AS revenue_minor
         FROM product_minute
         WHERE minute >= $1 AND minute < $2
         GROUP BY sku, currency
         ORDER BY quantity DESC, sku, currency
         LIMIT $3",
    )
    .bind(span.from.to_sqlx())
    .bind(span.to.to_sqlx())
    .bind(i64::from(limit))
    .fetch_all(pool)
    .await
}

/// One letter about an order.
#[derive(Debug, FromRow)]
pub(crate) struct TimelineRow {
    pub event_id: Uuid,
    pub event_type: String,
    pub source: String,
    pub occurred_at: jiff_sqlx::Timestamp,
    pub sequence: i64,
    pub data_json: String,
}

/// The letters about an order by time, then by sequence; of more than `entries_max` the first.
pub(crate) async fn timeline(pool: &PgPool, order: OrderId, entries_max: i64) -> Result<Vec<TimelineRow>, sqlx::Error> {
    // letters of two services may agree in both; their ids make one sequence of it for everybody
    sqlx::query_as(
        "SELECT event_id, event_type, source, occurred_at, sequence, data::text AS data_json
         FROM timeline
         WHERE order_id = $1
         ORDER BY occurred_at, sequence, event_id
         LIMIT $2",
    )
    .bind(order.as_uuid())
    .bind(entries_max)
    .fetch_all(pool)
    .await
}
