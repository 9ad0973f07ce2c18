//! An order, as clients see it. The bytes depend on the message alone: a stored order is told again word for word.

use contracts::{
    order::v1::{Order, OrderReason, OrderStatus, PaymentStatus, PlacedBy, PricedLine, Shipment, ShipmentStatus},
    timestamp_from_proto,
};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{money_json::MoneyJson, openapi::words};

/// An order and how it stands.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Order")]
pub struct OrderJson {
    order_id: String,
    #[schemars(extend("enum" = words(OrderStatus::as_str_name, "ORDER_STATUS_")))]
    status: &'static str,
    /// Why it is not going to be completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "&str", extend("enum" = words(OrderReason::as_str_name, "ORDER_REASON_")))]
    reason: Option<&'static str>,
    lines: Vec<LineJson>,
    /// Null until it is priced, as unit prices and line totals are.
    total: Option<MoneyJson>,
    #[schemars(extend("enum" = ["telephone", "letter"]))]
    placed_by: &'static str,
    payment: PaymentJson,
    shipment: Option<ShipmentJson>,
    /// Counts its changes; the `ETag` is it, and the `id` of each event.
    version: i64,
    created_at: Option<Timestamp>,
    updated_at: Option<Timestamp>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OrderLine")]
struct LineJson {
    sku: String,
    quantity: u32,
    unit_price: Option<MoneyJson>,
    line_total: Option<MoneyJson>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OrderPayment")]
struct PaymentJson {
    #[schemars(extend("enum" = words(PaymentStatus::as_str_name, "PAYMENT_STATUS_")))]
    status: &'static str,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OrderShipment")]
struct ShipmentJson {
    #[schemars(extend("enum" = words(ShipmentStatus::as_str_name, "SHIPMENT_STATUS_")))]
    status: &'static str,
    tracking_number: Option<String>,
}

impl From<Order> for OrderJson {
    fn from(order: Order) -> Self {
        Self {
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
            lines: order.lines.into_iter().map(Into::into).collect(),
            total: order.total.map(Into::into),
            shipment: order.shipment.map(Into::into),
            version: order.version,
            created_at: order.created_at.as_ref().and_then(timestamp_from_proto),
            updated_at: order.updated_at.as_ref().and_then(timestamp_from_proto),
        }
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

impl From<Shipment> for ShipmentJson {
    fn from(shipment: Shipment) -> Self {
        Self {
            status: word(shipment.status().as_str_name(), "SHIPMENT_STATUS_"),
            tracking_number: Some(shipment.tracking_number).filter(|number| !number.is_empty()),
        }
    }
}

/// The name of an enum's value without the prefix that protobuf wants.
fn word(name: &'static str, prefix: &str) -> &'static str {
    name.strip_prefix(prefix).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use contracts::{money::v1::Money, timestamp_to_proto};
    use serde_json::json;

    use super::*;

    #[test]
    fn an_order_looks_as_promised() {
        let money = |amount_minor| Some(Money { amount_minor, currency: "EUR".to_owned() });
        let at: Timestamp = "2026-11-21T09:00:00.25Z".parse().unwrap();
        let order = Order {
            order_id: "01936b1e-7c5a-7cc2-a3f1-0242ac120002".to_owned(),
            customer_id: "01936b1e-7c5a-7cc2-a3f1-0242ac120003".to_owned(),
            status: 3,
            reason: 1,
            lines: vec![PricedLine {
                sku: "mug".to_owned(),
                quantity: 2,
                unit_price: money(625),
                line_total: money(1250),
            }],
            total: money(1250),
            placed_by: 1,
            payment_status: 1,
            shipment: None,
            version: 2,
            created_at: Some(timestamp_to_proto(at)),
            updated_at: Some(timestamp_to_proto(at)),
        };
        let expected = json!({
            "order_id": "01936b1e-7c5a-7cc2-a3f1-0242ac120002",
            "status": "REJECTED",
            "reason": "OUT_OF_STOCK",
            "lines": [{
                "sku": "mug",
                "quantity": 2,
                "unit_price": {"amount_minor": 625, "currency": "EUR"},
                "line_total": {"amount_minor": 1250, "currency": "EUR"},
            }],
            "total": {"amount_minor": 1250, "currency": "EUR"},
            "placed_by": "telephone",
            "payment": {"status": "NONE"},
            "shipment": null,
            "version": 2,
            "created_at": "2026-11-21T09:00:00.25Z",
            "updated_at": "2026-11-21T09:00:00.25Z",
        });
        assert_eq!(serde_json::to_value(OrderJson::from(order)).unwrap(), expected);
    }

    #[test]
    fn an_order_that_is_not_priced_says_so_and_one_that_goes_well_has_no_reason() {
        let order = Order {
            lines: vec![PricedLine { sku: "mug".to_owned(), quantity: 1, unit_price: None, line_total: None }],
            status: 1,
            shipment: Some(Shipment { status: 2, tracking_number: String::new() }),
            ..Order::default()
        };
        let told = serde_json::to_value(OrderJson::from(order)).unwrap();
        assert_eq!(told["total"], json!(null));
        assert_eq!(told["lines"][0]["unit_price"], json!(null));
        assert_eq!(told["shipment"], json!({"status": "PREPARING", "tracking_number": null}));
        assert!(told.get("reason").is_none());
    }

    #[test]
    fn an_order_that_was_cancelled_says_what_became_of_its_money_and_its_parcel() {
        let order = Order {
            status: 5,
            reason: 6,
            placed_by: 2,
            payment_status: 6,
            shipment: Some(Shipment { status: 5, tracking_number: String::new() }),
            ..Order::default()
        };
        let told = serde_json::to_value(OrderJson::from(order)).unwrap();
        assert_eq!(told["status"], "CANCELLED");
        assert_eq!(told["reason"], "CUSTOMER_REQUEST");
        assert_eq!(told["placed_by"], "letter");
        assert_eq!(told["payment"], json!({"status": "REFUNDED"}));
        assert_eq!(told["shipment"]["status"], "CANCELLED");
    }
}
