//! Reservations that go on: the state and the counts of pieces change in one statement.

use std::collections::{BTreeMap, BTreeSet};

use contracts::ids::OrderId;
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use crate::{
    InventoryError,
    life::{Flow, State, Step},
};

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stepped {
    /// The reservation is in the state that the step reaches.
    Now,
    /// It is not in the state that the step leaves, but here; `None`: there is none.
    Not(Option<State>),
}

/// A reservation passes a state once, so while we look it can come into the one that a step leaves, and leave it: the
/// third look sees what stays.
const LOOKS_MAX: usize = 3;

/// Takes the reservation of the order one step further, and its pieces with it.
pub(crate) async fn step_in_tx(conn: &mut PgConnection, order: OrderId, step: Step) -> Result<Stepped, InventoryError> {
    for _ in 0..LOOKS_MAX {
        // only with its stock locked: whoever locked the reservation alone would wait in a circle with a Reserve
        if lock_stock_of_in_tx(conn, order, step.from()).await? {
            if move_in_tx(conn, order, step).await? {
                return Ok(Stepped::Now);
            }
        } else {
            let found = find_state_in_tx(conn, order).await?;
            if found != Some(step.from()) {
                return Ok(Stepped::Not(found));
            }
        }
    }
    Err(InventoryError::Corrupt {
        what: format!("the reservation of order {order}"),
        detail: format!("it is {}, but there is no stock of its lines", step.from()),
    })
}

/// Sells what those of these orders hold that hold something, and gives their ids. The lines of a reservation never change, so they
/// are read before anything is locked; should one of them leave its state meanwhile, that is [`InventoryError::Raced`], and the
/// caller rolls back.
pub(crate) async fn settle_held_in_tx(
    conn: &mut PgConnection,
    orders: &[OrderId],
) -> Result<BTreeSet<OrderId>, InventoryError> {
    #[derive(serde::Deserialize)]
    struct Pieces {
        sku: String,
        quantity: i64,
    }
    let ids: Vec<Uuid> = orders.iter().map(|order| order.as_uuid()).collect();
    let holding: Vec<(Uuid, Json<Vec<Pieces>>)> =
        sqlx::query_as("SELECT order_id, lines FROM reservation WHERE order_id = ANY($1) AND state = $2")
            .bind(ids)
            .bind(Step::Settle.from().word())
            .fetch_all(&mut *conn)
            .await?;
    if holding.is_empty() {
        return Ok(BTreeSet::new());
    }
    let mut pieces: BTreeMap<&str, i64> = BTreeMap::new();
    for line in holding.iter().flat_map(|(_, lines)| &lines.0) {
        *pieces.entry(&line.sku).or_default() += line.quantity;
    }
    let skus: Vec<&str> = pieces.keys().copied().collect();
    // the stock first, in the order of the SKUs, as everywhere
    sqlx::query("SELECT FROM stock WHERE sku = ANY($1) ORDER BY sku FOR NO KEY UPDATE")
        .bind(&skus)
        .execute(&mut *conn)
        .await?;
    let Flow { available, reserved, sold } = Step::Settle.flow();
    let (moved, changed): (i64, i64) = sqlx::query_as(
        "WITH moved AS (
             UPDATE reservation
             SET state = $3, updated_at = now()
             WHERE order_id = ANY($1) AND state = $2
             RETURNING order_id
         ), changed AS (
             UPDATE stock
             SET available = available + $4 * pieces.quantity,
                 reserved = reserved + $5 * pieces.quantity,
                 sold = sold + $6 * pieces.quantity
             FROM unnest($7::text[], $8::bigint[]) AS pieces(sku, quantity)
             WHERE stock.sku = pieces.sku AND stock.sku = ANY ($7)
             RETURNING stock.sku
         )
         SELECT (SELECT count(*) FROM moved), (SELECT count(*) FROM changed)",
    )
    .bind(holding.iter().map(|(order, _)| *order).collect::<Vec<_>>())
    .bind(Step::Settle.from().word())
    .bind(Step::Settle.to().word())
    .bind(available)
    .bind(reserved)
    .bind(sold)
    .bind(&skus)
    .bind(pieces.values().copied().collect::<Vec<_>>())
    .fetch_one(conn)
    .await?;
    if usize::try_from(moved) != Ok(holding.len()) {
        return Err(InventoryError::Raced);
    }
    if usize::try_from(changed) != Ok(pieces.len()) {
        let detail = format!("{changed} of {} had stock", pieces.len());
        return Err(InventoryError::Corrupt { what: "the products of completed orders".to_owned(), detail });
    }
    Ok(holding.into_iter().map(|(order, _)| OrderId::from(order)).collect())
}

/// Locks the stock of an order that is in this state until the end of the transaction, in the order of the SKUs. `false`
/// when it is in another one, and nothing is locked.
async fn lock_stock_of_in_tx(conn: &mut PgConnection, order: OrderId, state: State) -> Result<bool, InventoryError> {
    // the lines never change, so they are read before the reservation is locked
    let locked = sqlx::query(
        "SELECT stock.sku
         FROM stock
         JOIN (
             SELECT line.sku
             FROM reservation CROSS JOIN jsonb_to_recordset(lines) AS line(sku text)
             WHERE order_id = $1 AND state = $2
         ) AS concerned ON concerned.sku = stock.sku
         ORDER BY stock.sku
         FOR NO KEY UPDATE OF stock",
    )
    .bind(order.as_uuid())
    .bind(state.word())
    .execute(conn)
    .await?;
    Ok(locked.rows_affected() > 0)
}

/// Moves the reservation and its pieces; `false` when it has left the state meanwhile. Its stock is locked.
async fn move_in_tx(conn: &mut PgConnection, order: OrderId, step: Step) -> Result<bool, InventoryError> {
    let Flow { available, reserved, sold } = step.flow();
    let moved = sqlx::query(
        "WITH taken AS (
             UPDATE reservation
             SET state = $3, updated_at = now()
             WHERE order_id = $1 AND state = $2
             RETURNING lines
         )
         UPDATE stock
         SET available = available + $4 * line.quantity,
             reserved = reserved + $5 * line.quantity,
             sold = sold + $6 * line.quantity
         FROM taken CROSS JOIN jsonb_to_recordset(lines) AS line(sku text, quantity bigint)
         WHERE stock.sku = line.sku",
    )
    .bind(order.as_uuid())
    .bind(step.from().word())
    .bind(step.to().word())
    .bind(available)
    .bind(reserved)
    .bind(sold)
    .execute(conn)
    .await?;
    Ok(moved.rows_affected() > 0)
}

/// Where the reservation of the order is in its life; `None` when there is none.
async fn find_state_in_tx(conn: &mut PgConnection, order: OrderId) -> Result<Option<State>, InventoryError> {
    let word: Option<String> = sqlx::query_scalar("SELECT state FROM reservation WHERE order_id = $1")
        .bind(order.as_uuid())
        .fetch_optional(conn)
        .await?;
    let known = |word: String| {
        State::from_word(&word).ok_or_else(|| InventoryError::Corrupt {
            what: format!("the reservation of order {order}"),
            detail: format!("state {word}"),
        })
    };
    word.map(known).transpose()
}

/// From now on this transaction gives up a lock that it does not get within 100 ms. For a transaction that handles
/// several letters: it holds the stock of the first ones, and the next one's may come before that in the order of
/// SKUs, so whoever holds it may be waiting for us. Without this, Postgres would look into it after a second, and might
/// cancel the customer's call instead of the letters.
pub(crate) async fn wait_shortly_in_tx(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("SET LOCAL lock_timeout = '100ms'").execute(conn).await?;
    Ok(())
}
