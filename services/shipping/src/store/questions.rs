//! Orders that wait until it is known whether their customer has an address.

use std::{collections::HashSet, time::Duration};

use contracts::ids::{AccountId, OrderId};
use service_runtime::LookBack;
use sqlx::{PgConnection, PgPool, prelude::FromRow};
use uuid::Uuid;

/// Does the customer of this order have an address?
#[derive(Debug, Clone)]
pub struct Question {
    /// The order that waits for the answer.
    pub order: OrderId,
    /// Whose it is.
    pub customer: AccountId,
    /// Counts the letters about the account.
    pub version: i64,
    /// Of the letter that the order is completed.
    pub traceparent: Option<String>,
}

#[derive(Debug, FromRow)]
struct QuestionRow {
    order_id: Uuid,
    customer_id: Uuid,
    version: i64,
    traceparent: Option<String>,
}

impl From<QuestionRow> for Question {
    fn from(row: QuestionRow) -> Self {
        let QuestionRow { order_id, customer_id, version, traceparent } = row;
        Self { order: order_id.into(), customer: customer_id.into(), version, traceparent }
    }
}

/// A question that is about to be noted.
#[derive(Debug)]
pub(crate) struct NewQuestion<'a> {
    /// The order that is to wait for the answer.
    pub order: OrderId,
    /// Whose it is.
    pub customer: AccountId,
    /// Of the letter that the order is completed.
    pub traceparent: Option<&'a str>,
}

/// Notes the questions of orders, to be asked at once. Not when one is noted already, or the order has a shipment; one that
/// is being made or stopped at this moment is not seen, and whoever gets the answer finds it.
pub(crate) async fn insert_in_tx(conn: &mut PgConnection, new: &[NewQuestion<'_>]) -> Result<(), sqlx::Error> {
    let orders: Vec<Uuid> = new.iter().map(|question| question.order.as_uuid()).collect();
    let customers: Vec<Uuid> = new.iter().map(|question| question.customer.as_uuid()).collect();
    let traceparents: Vec<Option<&str>> = new.iter().map(|question| question.traceparent).collect();
    sqlx::query(
        "INSERT INTO address_question (order_id, customer_id, traceparent)
         SELECT order_id, customer_id, traceparent
         FROM unnest($1::uuid[], $2::uuid[], $3::text[]) WITH ORDINALITY
             AS completed(order_id, customer_id, traceparent, place)
         WHERE NOT EXISTS (
             SELECT FROM shipment WHERE shipment.order_id = completed.order_id AND shipment.order_id = ANY ($1))
         -- sorted: two transactions that note the same orders wait for each other in one direction only
         ORDER BY order_id, place
         ON CONFLICT (order_id) DO NOTHING",
    )
    .bind(orders)
    .bind(customers)
    .bind(traceparents)
    .execute(conn)
    .await?;
    Ok(())
}

/// Has all questions of a customer asked again at once, those that are being asked as well: their answer may be older than
/// what has happened to the account.
pub(crate) async fn renew_in_tx(conn: &mut PgConnection, customer: AccountId) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE address_question SET attempt_at = now(), attempts = 0, version = version + 1 WHERE customer_id = $1",
    )
    .bind(customer.as_uuid())
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes questions that are to be asked since `back`, those that wait longest first, and keeps them from others for `lease`.
pub(crate) async fn claim(
    conn: &mut PgConnection,
    questions_max: usize,
    back: LookBack,
    lease: Duration,
) -> Result<Vec<Question>, sqlx::Error> {
    let rows: Vec<QuestionRow> = sqlx::query_as(
        "UPDATE address_question SET attempt_at = now() + make_interval(secs => $2), attempts = attempts + 1
         -- as an array, because as a join it could be made again for each row, and lock more than its limit
         WHERE order_id = ANY (ARRAY (
             -- SKIP LOCKED: two replicas take different questions instead of waiting for each other
             SELECT order_id FROM address_question
             WHERE attempt_at <= now() AND attempt_at > now() - make_interval(secs => $3)
             ORDER BY attempt_at LIMIT $1 FOR UPDATE SKIP LOCKED))
         RETURNING order_id, customer_id, version, traceparent",
    )
    .bind(i64::try_from(questions_max).unwrap_or(i64::MAX))
    .bind(lease.as_secs_f64())
    .bind(back.seconds())
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Question::from).collect())
}

/// Has questions asked again after a pause, which doubles with each attempt up to `pause_max`. Not when a letter has
/// renewed one meanwhile.
pub(crate) async fn postpone(pool: &PgPool, asked: &[Question], pause_max: Duration) -> Result<(), sqlx::Error> {
    let orders: Vec<Uuid> = asked.iter().map(|question| question.order.as_uuid()).collect();
    let versions: Vec<i64> = asked.iter().map(|question| question.version).collect();
    sqlx::query(
        "UPDATE address_question
         SET attempt_at = now() + make_interval(secs => least($3, 0.125 * 2 ^ least(attempts, 20)))
         WHERE order_id = ANY (ARRAY (
             SELECT address_question.order_id
             FROM address_question JOIN unnest($1::uuid[], $2::bigint[]) AS asked(order_id, version)
                 USING (order_id, version)
             WHERE address_question.order_id = ANY ($1)
             -- SKIP LOCKED: whoever has one renews or removes it, and might wait for another of these
             FOR UPDATE OF address_question SKIP LOCKED))",
    )
    .bind(orders)
    .bind(versions)
    .bind(pause_max.as_secs_f64())
    .execute(pool)
    .await?;
    Ok(())
}

/// Lets a question wait for a letter. `false` when one came since it was asked, or the question is gone.
pub(crate) async fn park_in_tx(conn: &mut PgConnection, question: &Question) -> Result<bool, sqlx::Error> {
    let parked =
        sqlx::query("UPDATE address_question SET attempt_at = NULL, attempts = 0 WHERE order_id = $1 AND version = $2")
            .bind(question.order.as_uuid())
            .bind(question.version)
            .execute(conn)
            .await?;
    Ok(parked.rows_affected() == 1)
}

/// Removes the question of an order. `false` when there is none.
pub(crate) async fn delete_in_tx(conn: &mut PgConnection, order: OrderId) -> Result<bool, sqlx::Error> {
    let deleted =
        sqlx::query("DELETE FROM address_question WHERE order_id = $1").bind(order.as_uuid()).execute(conn).await?;
    Ok(deleted.rows_affected() == 1)
}

/// Removes the questions of orders that nobody else has, and gives these orders.
pub(crate) async fn delete_free_in_tx(
    conn: &mut PgConnection,
    orders: &[OrderId],
) -> Result<HashSet<OrderId>, sqlx::Error> {
    let orders: Vec<Uuid> = orders.iter().map(|order| order.as_uuid()).collect();
    let deleted: Vec<Uuid> = sqlx::query_scalar(
        "DELETE FROM address_question
         WHERE order_id = ANY (ARRAY (
             SELECT order_id FROM address_question WHERE order_id = ANY ($1) FOR UPDATE SKIP LOCKED))
         RETURNING order_id",
    )
    .bind(orders)
    .fetch_all(conn)
    .await?;
    Ok(deleted.into_iter().map(OrderId::from).collect())
}
