//! What a letter said, in the spelling of the API: what is told of an order here looks as it does everywhere else.
//!
//! Each message is written down by hand. A crate that turns any protobuf message into JSON by its descriptor
//! (prost-reflect) would need no line per message, but the timeline is read by customers: with it, every field that a
//! letter gains would be public from then on, whereas here somebody decides. And it spells differently: enums with
//! their prefix, `payment_status` where the API has `payment.status`, numbers for choices that have no name yet. Types that
//! are new it could not read either: it knows the descriptors that this program was built with.

use contracts::{
    events::v1::{
        PaymentCaptured, PaymentDeclined, ReservationHeld, ReservationRefused, payment_declined, reservation_refused,
    },
    inventory::v1::{Reserved, ReservedLine},
    money::v1::Money,
    order::v1::{Order, OrderReason, PlacedBy, PricedLine, Shipment as OrderShipment},
    shipping::v1::Shipment,
    timestamp_from_proto,
};
use jiff::Timestamp;
use serde::Serialize;

/// The `data` of a timeline entry.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Data {
    /// Order's letters: the order as it stood after the change, as `GET /v1/orders/{id}` shows it.
    Order(OrderJson),
    /// Shipping's letters: the shipment as it stood after the change.
    Shipment(ShipmentJson),
    /// `reservation.held`
    Held {
        order_id: String,
        #[serde(flatten)]
        priced: PricedJson,
    },
    /// `reservation.refused`
    Refused {
        order_id: String,
        reason: Option<&'static str>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        skus: Vec<String>,
    },
    /// `payment.captured`
    Captured {
        order_id: String,
        captured_at: Option<Timestamp>,
        #[serde(flatten)]
        priced: PricedJson,
    },
    /// `payment.declined`
    Declined {
        order_id: String,
        reason: Option<&'static str>,
        /// The card network's own word.
        #[serde(skip_serializing_if = "Option::is_none")]
        network_reason: Option<String>,
        #[serde(flatten)]
        priced: PricedJson,
    },
    /// A type that is not known (yet).
    Unknown {},
}

impl Data {
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("text, numbers and lists of them are JSON")
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct OrderJson {
    order_id: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(flatten)]
    priced: PricedJson,
    placed_by: &'static str,
    payment: PaymentJson,
    shipment: Option<OrderShipmentJson>,
    version: i64,
    created_at: Option<Timestamp>,
    updated_at: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
struct PaymentJson {
    status: &'static str,
}

#[derive(Debug, Serialize)]
struct OrderShipmentJson {
    status: &'static str,
    tracking_number: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct ShipmentJson {
    shipment_id: String,
    order_id: String,
    status: &'static str,
    tracking_number: Option<String>,
    created_at: Option<Timestamp>,
    updated_at: Option<Timestamp>,
}

/// What was ordered and what it costs; `null` until it is priced.
#[derive(Debug, Default, Serialize)]
pub(crate) struct PricedJson {
    lines: Vec<LineJson>,
    total: Option<MoneyJson>,
}

#[derive(Debug, Serialize)]
struct LineJson {
    sku: String,
    quantity: u32,
    unit_price: Option<MoneyJson>,
    line_total: Option<MoneyJson>,
}

#[derive(Debug, Serialize)]
struct MoneyJson {
    amount_minor: i64,
    currency: String,
}

impl From<Order> for Data {
    fn from(order: Order) -> Self {
        Self::Order(OrderJson {
            status: word(order.status().as_str_name(), "ORDER_STATUS_"),
            reason: match order.reason() {
                OrderReason::Unspecified => None,
                reason => Some(word(reason.as_str_name(), "ORDER_REASON_")),
            },
            placed_by: match order.placed_by() {
                PlacedBy::Unspecified | PlacedBy::Telephone => "telephone",
                PlacedBy::Letter => "letter",
            },
            payment: PaymentJson { status: word(order.payment_status().as_str_name(), "PAYMENT_STATUS_") },
            order_id: order.order_id,
            priced: PricedJson {
                lines: order.lines.into_iter().map(Into::into).collect(),
                total: order.total.map(Into::into),
            },
            shipment: order.shipment.map(Into::into),
            version: order.version,
            created_at: order.created_at.as_ref().and_then(timestamp_from_proto),
            updated_at: order.updated_at.as_ref().and_then(timestamp_from_proto),
        })
    }
}

impl From<OrderShipment> for OrderShipmentJson {
    fn from(shipment: OrderShipment) -> Self {
        Self {
            status: word(shipment.status().as_str_name(), "SHIPMENT_STATUS_"),
            tracking_number: non_empty(shipment.tracking_number),
        }
    }
}

impl From<Shipment> for Data {
    fn from(shipment: Shipment) -> Self {
        Self::Shipment(ShipmentJson {
            status: word(shipment.status().as_str_name(), "SHIPMENT_STATUS_"),
            shipment_id: shipment.shipment_id,
            order_id: shipment.order_id,
            tracking_number: non_empty(shipment.tracking_number),
            created_at: shipment.created_at.as_ref().and_then(timestamp_from_proto),
            updated_at: shipment.updated_at.as_ref().and_then(timestamp_from_proto),
        })
    }
}

impl From<ReservationHeld> for Data {
    fn from(held: ReservationHeld) -> Self {
        Self::Held { order_id: held.order_id, priced: held.reserved.into() }
    }
}

impl From<ReservationRefused> for Data {
    fn from(refused: ReservationRefused) -> Self {
        use reservation_refused::Refusal;
        let (reason, skus) = match refused.refusal {
            Some(Refusal::OutOfStock(out_of_stock)) => (Some("OUT_OF_STOCK"), out_of_stock.skus),
            Some(Refusal::UnknownSku(unknown)) => (Some("UNKNOWN_SKU"), unknown.skus),
            Some(Refusal::MixedCurrencies(_)) => (Some("MIXED_CURRENCIES"), Vec::new()),
            None => (None, Vec::new()),
        };
        Self::Refused { order_id: refused.order_id, reason, skus }
    }
}

impl From<PaymentCaptured> for Data {
    fn from(letter: PaymentCaptured) -> Self {
        Self::Captured {
            order_id: letter.order_id,
            captured_at: letter.captured.and_then(|captured| timestamp_from_proto(&captured.captured_at?)),
            priced: letter.reserved.into(),
        }
    }
}

impl From<PaymentDeclined> for Data {
    fn from(letter: PaymentDeclined) -> Self {
        use payment_declined::Refusal;
        let (reason, network_reason) = match letter.refusal {
            Some(Refusal::Declined(declined)) => (Some("PAYMENT_DECLINED"), non_empty(declined.reason)),
            Some(Refusal::UnknownCard(_)) => (Some("UNKNOWN_CARD"), None),
            None => (None, None),
        };
        Self::Declined { order_id: letter.order_id, reason, network_reason, priced: letter.reserved.into() }
    }
}

impl From<Option<Reserved>> for PricedJson {
    fn from(reserved: Option<Reserved>) -> Self {
        let Some(reserved) = reserved else { return Self::default() };
        Self { lines: reserved.lines.into_iter().map(Into::into).collect(), total: reserved.total.map(Into::into) }
    }
}

impl From<PricedLine> for LineJson {
    fn from(line: PricedLine) -> Self {
        Self {
            sku: line.sku,
            quantity: line.quantity,
            unit_price: line.unit_price.map(Into::into),
            line_total: line.line_total.map(Into::into),
        }
    }
}

impl From<ReservedLine> for LineJson {
    fn from(line: ReservedLine) -> Self {
        Self {
            sku: line.sku,
            quantity: line.quantity,
            unit_price: line.unit_price.map(Into::into),
            line_total: line.line_total.map(Into::into),
        }
    }
}

impl From<Money> for MoneyJson {
    fn from(money: Money) -> Self {
        Self { amount_minor: money.amount_minor, currency: money.currency }
    }
}

/// The name of an enum's value without the prefix that protobuf wants.
fn word(name: &'static str, prefix: &str) -> &'static str {
    name.strip_prefix(prefix).unwrap_or(name)
}

fn non_empty(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}
