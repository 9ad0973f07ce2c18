//! Reservations as they are made, and the stock that they take. Stock is locked by SKU and before the reservation,
//! everywhere: whoever waits for a reservation holds all the stock that it needs, so nobody waits in a circle.

use std::collections::{BTreeMap, BTreeSet};

use contracts::{
    ids::{OrderId, Sku},
    money::Money,
};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool, prelude::FromRow, types::Json};
use uuid::Uuid;

use super::Recorded;
use crate::{
    InventoryError,
    life::State,
    reservation::{Answer, Decision, Line, Offer, PricedLine, Refusal, Reserve},
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

/// What reservations are decided by.
#[derive(Debug)]
pub(crate) struct Stand {
    /// What there is of each product. SKUs that no product has are left out.
    pub offers: BTreeMap<Sku, Offer>,
    /// Those of the orders that have their answer. An answer that is given at this moment may be missing.
    pub answered: BTreeSet<OrderId>,
}

/// Locks the stock of all these wishes until the end of the transaction, in the order of the SKUs, and says how things stand.
pub(crate) async fn lock_stock_in_tx(conn: &mut PgConnection, wishes: &[Reserve]) -> Result<Stand, InventoryError> {
    let skus: BTreeSet<&str> = wishes.iter().flat_map(Reserve::lines).map(|line| line.sku.as_str()).collect();
    let orders: Vec<Uuid> = wishes.iter().map(|wish| wish.order.as_uuid()).collect();
    // rows are locked after they are sorted; NO KEY, because new receipts and stock rows may refer to the SKU meanwhile
    let rows: Vec<(String, i64, i64, String, Vec<Uuid>)> = sqlx::query_as(
        "SELECT stock.sku, stock.available, product.price_minor, product.currency,
             ARRAY(SELECT order_id FROM reservation WHERE order_id = ANY($2))
         FROM stock JOIN product ON product.sku = stock.sku
         WHERE stock.sku = ANY($1)
         ORDER BY stock.sku
         FOR NO KEY UPDATE OF stock",
    )
    .bind(skus.into_iter().collect::<Vec<_>>())
    .bind(&orders)
    .fetch_all(&mut *conn)
    .await?;
    let mut stand = Stand { offers: BTreeMap::new(), answered: BTreeSet::new() };
    if rows.is_empty() {
        // none of the products is known, so no row told
        let answered: Vec<Uuid> = sqlx::query_scalar("SELECT order_id FROM reservation WHERE order_id = ANY($1)")
            .bind(&orders)
            .fetch_all(conn)
            .await?;
        stand.answered = answered.into_iter().map(OrderId::from).collect();
    }
    for (sku, available, price_minor, currency, answered) in rows {
        let what = format!("product {sku}");
        let price = Money::from_code(price_minor, &currency).map_err(InventoryError::corrupt(&what))?;
        stand.offers.insert(sku.try_into().map_err(InventoryError::corrupt(&what))?, Offer { available, price });
        // the same with each row
        if stand.answered.is_empty() {
            stand.answered = answered.into_iter().map(OrderId::from).collect();
        }
    }
    Ok(stand)
}

/// Keeps these decisions, each of an order of its own, and takes the stock of those that are held, in one statement. It is locked and
/// was found to be enough. One of the orders may have been answered at this very moment: that is [`InventoryError::Raced`], and the
/// caller rolls back.
pub(crate) async fn keep_in_tx(
    conn: &mut PgConnection,
    decided: &[(&Reserve, &Decision)],
) -> Result<(), InventoryError> {
    let mut taken: BTreeMap<&str, i64> = BTreeMap::new();
    for line in decided.iter().filter_map(|(_, decision)| decision.as_ref().ok()).flatten() {
        *taken.entry(line.line.sku.as_str()).or_default() += i64::from(line.line.quantity.get());
    }
    let rows: Vec<NewRow> = decided.iter().map(|(wish, decision)| NewRow::new(wish, decision)).collect();
    let (kept, changed): (i64, i64) = sqlx::query_as(
        "WITH kept AS (
             INSERT INTO reservation (order_id, state, lines, currency, refusal, refused_skus)
             SELECT order_id, state, lines, currency, refusal, string_to_array(refused_skus, ',')
             FROM unnest($1::uuid[], $2::text[], $3::jsonb[], $4::text[], $5::text[], $6::text[])
                 AS decided(order_id, state, lines, currency, refusal, refused_skus)
             ORDER BY order_id
             ON CONFLICT (order_id) DO NOTHING
             RETURNING order_id
         ), changed AS (
             UPDATE stock
             SET available = available - taken.quantity, reserved = reserved + taken.quantity
             FROM unnest($7::text[], $8::bigint[]) AS taken(sku, quantity)
             WHERE stock.sku = taken.sku AND stock.available >= taken.quantity AND stock.sku = ANY ($7)
             RETURNING stock.sku
         )
         SELECT (SELECT count(*) FROM kept), (SELECT count(*) FROM changed)",
    )
    .bind(rows.iter().map(|row| row.order).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.state.word()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| Json(&row.lines)).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.currency).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.refusal).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.refused_skus.as_str()).collect::<Vec<_>>())
    .bind(taken.keys().copied().collect::<Vec<_>>())
    .bind(taken.values().copied().collect::<Vec<_>>())
    .fetch_one(conn)
    .await?;
    if usize::try_from(kept) != Ok(decided.len()) {
        return Err(InventoryError::Raced);
    }
    if usize::try_from(changed) != Ok(taken.len()) {
        let detail = format!("{changed} of {} were taken from", taken.len());
        return Err(InventoryError::Corrupt { what: "the stock of some products".to_owned(), detail });
    }
    Ok(())
}

/// A decision as a row.
struct NewRow {
    order: Uuid,
    state: State,
    lines: Vec<LineColumn>,
    currency: Option<&'static str>,
    refusal: Option<&'static str>,
    /// Separated by commas, which no SKU has: an array of lists is none that Postgres can take apart.
    refused_skus: String,
}

impl NewRow {
    fn new(wish: &Reserve, decision: &Decision) -> Self {
        let order = wish.order.as_uuid();
        let refusal = match decision {
            Ok(lines) => {
                return Self {
                    order,
                    state: State::Held,
                    lines: lines.iter().map(LineColumn::from).collect(),
                    currency: lines.first().map(|line| line.unit_price.currency_code()),
                    refusal: None,
                    refused_skus: String::new(),
                };
            }
            Err(refusal) => refusal,
        };
        let (word, skus) = match refusal {
            Refusal::OutOfStock(skus) => ("OUT_OF_STOCK", skus.as_slice()),
            Refusal::UnknownSku(skus) => ("UNKNOWN_SKU", skus.as_slice()),
            Refusal::MixedCurrencies => ("MIXED_CURRENCIES", [].as_slice()),
        };
        Self {
            order,
            state: State::Refused,
            lines: wish.lines().iter().map(LineColumn::from).collect(),
            currency: None,
            refusal: Some(word),
            refused_skus: skus.iter().map(Sku::as_str).collect::<Vec<_>>().join(","),
        }
    }
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
