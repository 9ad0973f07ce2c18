//! An order as a row, and back.

use contracts::{
    ids::{OrderId, Quantity, Sku},
    money::Money,
    order::v1::{DecidedAnswer, ShipmentStatus, decided_answer::Answer},
};
use prost::Message;
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, types::Json};
use uuid::Uuid;

use super::Kept;
use crate::{
    error::OrderError,
    order::{Line, Order, PlacedBy, Shipment},
    saga::{Reason, State},
};

pub(super) fn line_rows(order: &Order) -> Json<Vec<LineRow>> {
    Json(order.lines.iter().map(LineRow::from).collect())
}

/// A line inside the column `lines`. Its currency is the order's.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct LineRow {
    sku: String,
    quantity: u32,
    unit_price_minor: Option<i64>,
}

impl From<&Line> for LineRow {
    fn from(line: &Line) -> Self {
        Self {
            sku: line.sku.to_string(),
            quantity: line.quantity.get(),
            unit_price_minor: line.unit_price.map(Money::minor_units),
        }
    }
}

#[derive(FromRow)]
pub(super) struct OrderRow {
    order_id: Uuid,
    customer_id: Uuid,
    saga_state: String,
    reason: Option<String>,
    version: i64,
    placed_by: String,
    lines: Json<Vec<LineRow>>,
    total_minor: Option<i64>,
    currency: Option<String>,
    card_token: Option<String>,
    shipment_status: Option<String>,
    tracking_number: String,
    shipment_version: i64,
    trace_id: String,
    created_at: jiff_sqlx::Timestamp,
    updated_at: jiff_sqlx::Timestamp,
    answer: Option<Vec<u8>>,
}

impl TryFrom<OrderRow> for Kept {
    type Error = OrderError;

    fn try_from(row: OrderRow) -> Result<Self, OrderError> {
        let id = OrderId::from(row.order_id);
        let corrupt = |detail: &str| OrderError::Corrupt { id, detail: detail.to_owned() };
        let reason = row.reason.as_deref().and_then(Reason::from_name);
        let state = State::from_name(&row.saga_state, reason).ok_or_else(|| corrupt("its state"))?;
        let currency = row.currency.as_deref();
        let priced = |minor: i64| Money::from_code(minor, currency.unwrap_or_default()).map_err(|_| corrupt("a price"));
        let line = |line: LineRow| {
            Ok(Line {
                sku: Sku::try_from(line.sku).map_err(|_| corrupt("a SKU"))?,
                quantity: Quantity::try_from(line.quantity).map_err(|_| corrupt("a quantity"))?,
                unit_price: line.unit_price_minor.map(priced).transpose()?,
            })
        };
        let shipment = row.shipment_status.map(|name| {
            Ok::<_, OrderError>(Shipment {
                status: shipment_from_name(&name).ok_or_else(|| corrupt("its shipment's status"))?,
                tracking_number: row.tracking_number,
                version: row.shipment_version,
            })
        });
        let answer = row.answer.map(|bytes| {
            let kept = DecidedAnswer::decode(bytes.as_slice()).ok().and_then(|kept| kept.answer);
            kept.ok_or_else(|| corrupt("its answer"))
        });
        Ok(Self {
            order: Order {
                id,
                customer_id: row.customer_id.into(),
                state,
                version: row.version,
                placed_by: placed_by_from_name(&row.placed_by).ok_or_else(|| corrupt("how it was placed"))?,
                lines: row.lines.0.into_iter().map(line).collect::<Result<_, OrderError>>()?,
                total: row.total_minor.map(priced).transpose()?,
                card_token: row.card_token,
                shipment: shipment.transpose()?,
                trace_id: row.trace_id,
                created_at: row.created_at.to_jiff(),
                updated_at: row.updated_at.to_jiff(),
            },
            answer: answer.transpose()?,
        })
    }
}

/// Where the saga of a row stands and how its order came in; `None` when that is no state.
pub(super) fn state_and_door(saga_state: &str, reason: Option<&str>, placed_by: &str) -> Option<(State, PlacedBy)> {
    let state = State::from_name(saga_state, reason.and_then(Reason::from_name))?;
    Some((state, placed_by_from_name(placed_by)?))
}

pub(super) fn encode_answer(answer: &Answer) -> Vec<u8> {
    DecidedAnswer { answer: Some(answer.clone()) }.encode_to_vec()
}

pub(super) const fn placed_by_name(placed_by: PlacedBy) -> &'static str {
    match placed_by {
        PlacedBy::Telephone => "TELEPHONE",
        PlacedBy::Letter => "LETTER",
    }
}

fn placed_by_from_name(name: &str) -> Option<PlacedBy> {
    [PlacedBy::Telephone, PlacedBy::Letter].into_iter().find(|&placed_by| placed_by_name(placed_by) == name)
}

const SHIPMENT_PREFIX: &str = "SHIPMENT_STATUS_";

pub(super) fn shipment_name(status: ShipmentStatus) -> Option<&'static str> {
    status.as_str_name().strip_prefix(SHIPMENT_PREFIX)
}

fn shipment_from_name(name: &str) -> Option<ShipmentStatus> {
    ShipmentStatus::from_str_name(&format!("{SHIPMENT_PREFIX}{name}"))
}
