//! Reservations as they are made, and the stock that they take. Stock is locked by SKU and before the reservation,
//! everywhere: whoever waits for a reservation holds all the stock that it needs, so nobody waits in a circle.

use std::collections::{BTreeMap, BTreeSet};

use contracts::{
    ids::{OrderId, Sku},
    money::Money,
};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool, prelude::FromRow, types::Json};

use super::Recorded;
use crate::{
    InventoryError,
    life::State,
    reservation::{Answer, Line, Offer, PricedLine, Refusal, Reserve},
};

/// A line as the column holds it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct LineColumn {
    sku: String,
    quantity: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unit_price_minor: Option<i64>,
}

impl From<&Line> for LineColumn {
    fn from(line: &Line) -> Self {
        Self { sku: line.sku.to_string(), quantity: line.quantity.get(), unit_price_minor: None }
    }
}

impl From<&PricedLine> for LineColumn {
    fn from(line: &PricedLine) -> Self {
        Self { unit_price_minor: Some(line.unit_price.minor_units()), ..Self::from(&line.line) }
    }
}

#[derive(Debug, FromRow)]
struct ReservationRow {
    state: String,
    lines: Json<Vec<LineColumn>>,
    currency: Option<String>,
    refusal: Option<String>,
    refused_skus: Vec<String>,
}

impl ReservationRow {
    fn answer(&self) -> Result<Answer, String> {
        match (State::from_word(&self.state), self.refusal.as_deref()) {
            (Some(State::Held | State::Settled), None) => Ok(Answer::Held(self.priced_lines()?)),
            (Some(State::Released | State::Returned), None) => Ok(Answer::Released),
            (Some(State::Refused), Some("OUT_OF_STOCK")) => Ok(Answer::Refused(Refusal::OutOfStock(self.skus()?))),
            (Some(State::Refused), Some("UNKNOWN_SKU")) => Ok(Answer::Refused(Refusal::UnknownSku(self.skus()?))),
            (Some(State::Refused), Some("MIXED_CURRENCIES")) => Ok(Answer::Refused(Refusal::MixedCurrencies)),
            (_, refusal) => Err(format!("state {}, refusal {refusal:?}", self.state)),
        }
    }

    fn priced_lines(&self) -> Result<Vec<PricedLine>, String> {
        let currency = self.currency.as_deref().ok_or("held without a currency")?;
        let line = |column: &LineColumn| {
            let price = column.unit_price_minor.ok_or_else(|| format!("{} has no price", column.sku))?;
            Ok(PricedLine {
                line: Line {
                    sku: column.sku.parse().map_err(text)?,
                    quantity: column.quantity.try_into().map_err(text)?,
                },
                unit_price: Money::from_code(price, currency).map_err(text)?,
            })
        };
        self.lines.iter().map(line).collect()
    }

    fn skus(&self) -> Result<Vec<Sku>, String> {
        self.refused_skus.iter().map(|sku| sku.parse().map_err(text)).collect()
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
fn text(error: impl ToString) -> String {
    error.to_string()
}

/// What is kept about an order.
#[derive(Debug)]
pub(crate) struct Kept {
    pub answer: Answer,
    /// SKU and pieces of what it asked for.
    lines: BTreeSet<(String, u32)>,
}

impl Kept {
    /// Whether the order asked for just these lines, in whatever sequence.
    pub(crate) fn is_about(&self, lines: &[Line]) -> bool {
        self.lines == lines.iter().map(|line| (line.sku.to_string(), line.quantity.get())).collect()
    }
}

/// What is kept about an order that has asked before.
pub(crate) async fn find_reservation(pool: &PgPool, order: OrderId) -> Result<Kept, InventoryError> {
    let row: ReservationRow =
        sqlx::query_as("SELECT state, lines, currency, refusal, refused_skus FROM reservation WHERE order_id = $1")
            .bind(order.as_uuid())
            .fetch_one(pool)
            .await?;
    let answer = row.answer().map_err(InventoryError::corrupt(format!("the reservation of order {order}")))?;
    Ok(Kept { answer, lines: row.lines.0.into_iter().map(|line| (line.sku, line.quantity)).collect() })
}

/// Locks the stock of these lines until the end of the transaction, in the order of the SKUs, and says what there is.
/// SKUs that no product has are left out.
pub(crate) async fn lock_stock_in_tx(
    conn: &mut PgConnection,
    lines: &[Line],
) -> Result<BTreeMap<Sku, Offer>, InventoryError> {
    let skus: Vec<&str> = lines.iter().map(|line| line.sku.as_str()).collect();
    // rows are locked after they are sorted; NO KEY, because new receipts and stock rows may refer to the SKU meanwhile
    let rows: Vec<(String, i64, i64, String)> = sqlx::query_as(
        "SELECT stock.sku, stock.available, product.price_minor, product.currency
         FROM stock JOIN product ON product.sku = stock.sku
         WHERE stock.sku = ANY($1)
         ORDER BY stock.sku
         FOR NO KEY UPDATE OF stock",
    )
    .bind(skus)
    .fetch_all(conn)
    .await?;
    let offer = |(sku, available, price_minor, currency): (String, i64, i64, String)| {
        let what = format!("product {sku}");
        let price = Money::from_code(price_minor, &currency).map_err(InventoryError::corrupt(&what))?;
        Ok((sku.try_into().map_err(InventoryError::corrupt(&what))?, Offer { available, price }))
    };
    rows.into_iter().map(offer).collect()
}

/// Holds these lines for the order, unless it has an answer. Their stock is locked and was found to be enough.
pub(crate) async fn hold_in_tx(
    conn: &mut PgConnection,
    order: OrderId,
    lines: &[PricedLine],
) -> Result<Recorded, InventoryError> {
    let column: Vec<LineColumn> = lines.iter().map(LineColumn::from).collect();
    let skus: Vec<&str> = lines.iter().map(|line| line.line.sku.as_str()).collect();
    let quantities: Vec<i64> = lines.iter().map(|line| i64::from(line.line.quantity.get())).collect();
    let taken = sqlx::query(
        "WITH held AS (
             INSERT INTO reservation (order_id, state, lines, currency)
             VALUES ($1, 'HELD', $2, $3)
             ON CONFLICT (order_id) DO NOTHING
             RETURNING order_id
         )
         UPDATE stock
         SET available = available - line.quantity, reserved = reserved + line.quantity
         FROM held, unnest($4::text[], $5::bigint[]) AS line(sku, quantity)
         WHERE stock.sku = line.sku AND stock.available >= line.quantity",
    )
    .bind(order.as_uuid())
    .bind(Json(column))
    .bind(lines.first().map(|line| line.unit_price.currency_code()))
    .bind(skus)
    .bind(quantities)
    .execute(conn)
    .await?
    .rows_affected();
    match usize::try_from(taken) {
        Ok(0) => Ok(Recorded::Before),
        Ok(rows) if rows == lines.len() => Ok(Recorded::Now),
        _ => Err(InventoryError::Corrupt {
            what: format!("the stock for order {order}"),
            detail: format!("{taken} of {} lines were taken", lines.len()),
        }),
    }
}

/// Keeps a refusal, unless the order has an answer.
pub(crate) async fn refuse_in_tx(
    conn: &mut PgConnection,
    wish: &Reserve,
    refusal: &Refusal,
) -> Result<Recorded, InventoryError> {
    let column: Vec<LineColumn> = wish.lines().iter().map(LineColumn::from).collect();
    let (word, skus) = match refusal {
        Refusal::OutOfStock(skus) => ("OUT_OF_STOCK", skus.as_slice()),
        Refusal::UnknownSku(skus) => ("UNKNOWN_SKU", skus.as_slice()),
        Refusal::MixedCurrencies => ("MIXED_CURRENCIES", [].as_slice()),
    };
    let refused = sqlx::query(
        "INSERT INTO reservation (order_id, state, lines, refusal, refused_skus)
         VALUES ($1, 'REFUSED', $2, $3, $4)
         ON CONFLICT (order_id) DO NOTHING",
    )
    .bind(wish.order.as_uuid())
    .bind(Json(column))
    .bind(word)
    .bind(skus.iter().map(Sku::as_str).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(Recorded::from_rows(&refused))
}

/// Leaves a tombstone that refuses the order for ever, unless it has an answer.
pub(crate) async fn bury_in_tx(conn: &mut PgConnection, order: OrderId) -> Result<Recorded, InventoryError> {
    let buried = sqlx::query(
        "INSERT INTO reservation (order_id, state, lines)
         VALUES ($1, 'RELEASED', '[]')
         ON CONFLICT (order_id) DO NOTHING",
    )
    .bind(order.as_uuid())
    .execute(conn)
    .await?;
    Ok(Recorded::from_rows(&buried))
}
