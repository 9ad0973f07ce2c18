//! All SQL of analytics.

use std::collections::HashSet;

use contracts::{event::Event, ids::OrderId};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::{PgConnection, PgPool, prelude::FromRow};
use uuid::Uuid;

use crate::{
    letter::{Figure, Letter, SoldLine},
    span::{Span, Window},
};

/// Keeps letters, and gives the ids of those that were not kept before, and so are to be counted. One that is in the list
/// twice is kept and given once.
pub(crate) async fn keep_letters_in_tx(
    conn: &mut PgConnection,
    letters: &[(&Event, Letter)],
) -> Result<HashSet<Uuid>, sqlx::Error> {
    let ids: Vec<Uuid> = letters.iter().map(|(event, _)| event.id).collect();
    let orders: Vec<Uuid> = letters.iter().map(|(_, letter)| letter.order.as_uuid()).collect();
    let event_types: Vec<&str> = letters.iter().map(|(event, _)| event.event_type.as_str()).collect();
    let sources: Vec<&str> = letters.iter().map(|(event, _)| event.source.as_str()).collect();
    let times: Vec<jiff_sqlx::Timestamp> = letters.iter().map(|(event, _)| event.time.to_sqlx()).collect();
    let sequences: Vec<i64> = letters.iter().map(|(event, _)| event.sequence).collect();
    let data: Vec<&str> = letters.iter().map(|(_, letter)| letter.data_json.as_str()).collect();
    let kept: Vec<Uuid> = sqlx::query_scalar(
        "INSERT INTO timeline (event_id, order_id, event_type, source, occurred_at, sequence, data)
         SELECT event_id, order_id, event_type, source, occurred_at, sequence, data::json
         FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[], $6::bigint[], $7::text[])
             WITH ORDINALITY
             AS letter(event_id, order_id, event_type, source, occurred_at, sequence, data, place)
         -- sorted: two transactions that keep the same letters wait for each other in one direction only
         ORDER BY event_id, place
         ON CONFLICT (event_id) DO NOTHING
         RETURNING event_id",
    )
    .bind(ids)
    .bind(orders)
    .bind(event_types)
    .bind(sources)
    .bind(times)
    .bind(sequences)
    .bind(data)
    .fetch_all(conn)
    .await?;
    Ok(kept.into_iter().collect())
}

/// Waits until no other transaction counts, and keeps others from it until the end of this one: changes of sales are committed
/// in the order of their numbers. Without that, two replicas would update
/// the same few rows (this minute's, the best sellers') in the order of their letters, each in its own: a deadlock. They
/// would wait for each other anyway, at the minute's row, so this costs no speed. The table names the lock: while it is built
/// anew, the old and the new one are counted into side by side.
pub(crate) async fn begin_counting_in_tx(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_advisory_xact_lock('sales_minute'::regclass::oid::bigint)").execute(conn).await?;
    Ok(())
}

/// Adds figures to their minutes: what was sold and what was given back, and the products that were sold.
pub(crate) async fn add_in_tx(conn: &mut PgConnection, figures: &[(Timestamp, Figure)]) -> Result<(), sqlx::Error> {
    add_sales_in_tx(conn, figures).await?;
    add_products_in_tx(conn, figures).await
}

async fn add_sales_in_tx(conn: &mut PgConnection, figures: &[(Timestamp, Figure)]) -> Result<(), sqlx::Error> {
    let minutes: Vec<jiff_sqlx::Timestamp> = figures.iter().map(|(minute, _)| minute.to_sqlx()).collect();
    let amounts = || {
        figures.iter().map(|(_, figure)| match figure {
            Figure::Sold { total, .. } => (total, true),
            Figure::GivenBack(total) => (total, false),
        })
    };
    let currencies: Vec<&str> = amounts().map(|(total, _)| total.currency_code()).collect();
    let totals: Vec<i64> = amounts().map(|(total, _)| total.minor_units()).collect();
    let are_sold: Vec<bool> = amounts().map(|(_, is_sold)| is_sold).collect();
    // grouped, because one statement must not meet the same row twice; each row has a number of its own, so that who has been told
    // a part of them can say which
    sqlx::query(
        "INSERT INTO sales_minute AS before
             (minute, currency, orders, revenue_minor, cancelled_orders, refunded_minor, change)
         SELECT minute, currency,
             count(*) FILTER (WHERE is_sold), coalesce(sum(total_minor) FILTER (WHERE is_sold), 0)::bigint,
             count(*) FILTER (WHERE NOT is_sold), coalesce(sum(total_minor) FILTER (WHERE NOT is_sold), 0)::bigint,
             nextval('sales_change')
         FROM unnest($1::timestamptz[], $2::text[], $3::bigint[], $4::boolean[])
             AS figure (minute, currency, total_minor, is_sold)
         GROUP BY minute, currency
         ON CONFLICT (minute, currency) DO UPDATE
         SET orders = before.orders + excluded.orders,
             revenue_minor = before.revenue_minor + excluded.revenue_minor,
             cancelled_orders = before.cancelled_orders + excluded.cancelled_orders,
             refunded_minor = before.refunded_minor + excluded.refunded_minor,
             change = excluded.change",
    )
    .bind(minutes)
    .bind(currencies)
    .bind(totals)
    .bind(are_sold)
    .execute(conn)
    .await?;
    Ok(())
}

async fn add_products_in_tx(conn: &mut PgConnection, figures: &[(Timestamp, Figure)]) -> Result<(), sqlx::Error> {
    let lines: Vec<(Timestamp, &SoldLine)> = figures
        .iter()
        .filter_map(|(minute, figure)| match figure {
            Figure::Sold { lines, .. } => Some(lines.iter().map(|line| (*minute, line))),
            Figure::GivenBack(_) => None,
        })
        .flatten()
        .collect();
    if lines.is_empty() {
        return Ok(());
    }
    let minutes: Vec<jiff_sqlx::Timestamp> = lines.iter().map(|(minute, _)| minute.to_sqlx()).collect();
    let skus: Vec<&str> = lines.iter().map(|(_, line)| line.sku.as_str()).collect();
    let currencies: Vec<&str> = lines.iter().map(|(_, line)| line.revenue.currency_code()).collect();
    let quantities: Vec<i64> = lines.iter().map(|(_, line)| line.quantity.get().into()).collect();
    let revenues: Vec<i64> = lines.iter().map(|(_, line)| line.revenue.minor_units()).collect();
    // grouped, because one statement must not meet the same row twice
    sqlx::query(
        "INSERT INTO product_minute AS before (minute, sku, currency, quantity, revenue_minor)
         SELECT minute, sku, currency, sum(quantity)::bigint, sum(revenue_minor)::bigint
         FROM unnest($1::timestamptz[], $2::text[], $3::text[], $4::bigint[], $5::bigint[])
             AS line (minute, sku, currency, quantity, revenue_minor)
         GROUP BY minute, sku, currency
         ON CONFLICT (minute, sku, currency) DO UPDATE
         SET quantity = before.quantity + excluded.quantity,
             revenue_minor = before.revenue_minor + excluded.revenue_minor",
    )
    .bind(minutes)
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

/// How far the changes of sales were read: all of the table up to a number. The one before all changes of all tables is
/// [`Position::START`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The table: a replay puts another one in its place, with changes that have other numbers.
    pub(crate) generation: i64,
    /// The number, from 1.
    pub(crate) change: i64,
}

impl Position {
    /// Nothing was read yet.
    pub(crate) const START: Self = Self { generation: 0, change: 0 };

    /// The last from which on both have everything.
    pub(crate) fn before_both(self, other: Self) -> Self {
        if self.generation != other.generation {
            return Self::START;
        }
        Self { generation: self.generation, change: self.change.min(other.change) }
    }
}

/// The number of a change that is not below that of any. One that is above it was never told to anybody.
pub(crate) async fn last_change(pool: &PgPool) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT last_value FROM sales_change").fetch_one(pool).await
}

/// A minute, in one currency, and its last change.
#[derive(Debug, FromRow)]
pub(crate) struct ChangedRow {
    pub generation: i64,
    pub change: i64,
    #[sqlx(flatten)]
    pub sales: SalesRow,
}

/// The minutes from `since` on that changed after a position, in the order of their changes; all of them when it is one of
/// another generation. Whatever changes later has a higher number.
pub(crate) async fn changed_sales(
    pool: &PgPool,
    since: Timestamp,
    after: Position,
) -> Result<Vec<ChangedRow>, sqlx::Error> {
    sqlx::query_as(
        "SELECT tableoid::bigint AS generation, change,
             minute AS start, currency, orders, revenue_minor, cancelled_orders, refunded_minor
         FROM sales_minute
         WHERE minute >= $1 AND (change > $2 OR tableoid::bigint <> $3)
         ORDER BY change",
    )
    .bind(since.to_sqlx())
    .bind(after.change)
    .bind(after.generation)
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
