//! What inventory, payment and shipping write.

use contracts::{
    event::{Event, Payload},
    events::v1::{
        PaymentCaptured, PaymentDeclined, ReservationHeld, ReservationRefused, ShipmentCancelled, ShipmentCreated,
        ShipmentDelivered, ShipmentDispatched, ShipmentPrepared, payment_declined, reservation_refused,
    },
    ids::OrderId,
    inventory::v1::{OutOfStock, Reserved, ReservedLine},
    money::v1::Money as MoneyMessage,
    payment::v1::{Captured, Declined},
    shipping::v1::{Shipment, ShipmentStatus},
    topics::{PAYMENTS, RESERVATIONS, SHIPMENTS, Topic},
};
use order::{
    order::{Heard, Line, Prices},
    saga::Fact,
};
use service_runtime::clock::Clock;

/// What every order of these tests is for: SKU, quantity, price of one in cents.
pub const LINES: [(&str, u32, i64); 2] = [("mug", 2, 1_250), ("tee", 1, 1_990)];

/// What that costs, in cents.
pub const TOTAL: i64 = 4_490;

/// The lines with their prices, as inventory tells them.
pub fn reserved() -> Reserved {
    let line = |&(sku, quantity, price): &(&str, u32, i64)| ReservedLine {
        sku: sku.to_owned(),
        quantity,
        unit_price: Some(cents(price)),
        line_total: Some(cents(price * i64::from(quantity))),
    };
    Reserved { lines: LINES.iter().map(line).collect(), total: Some(cents(TOTAL)) }
}

/// A fact that brings those prices along.
pub fn priced(fact: Fact) -> Heard {
    let line = |&(sku, quantity, price): &(&str, u32, i64)| Line {
        sku: sku.parse().unwrap(),
        quantity: quantity.try_into().unwrap(),
        unit_price: Some(Some(cents(price)).try_into().unwrap()),
    };
    let prices = Prices { lines: LINES.iter().map(line).collect(), total: Some(cents(TOTAL)).try_into().unwrap() };
    Heard { prices: Some(prices), ..fact.into() }
}

pub fn cents(amount_minor: i64) -> MoneyMessage {
    MoneyMessage { amount_minor, currency: "EUR".to_owned() }
}

pub fn held(order: OrderId) -> Event {
    held_as(order, reserved())
}

pub fn held_as(order: OrderId, reserved: Reserved) -> Event {
    about(order, RESERVATIONS, 1, &ReservationHeld { order_id: order.to_string(), reserved: Some(reserved) })
}

pub fn refused(order: OrderId) -> Event {
    let refusal = Some(reservation_refused::Refusal::OutOfStock(OutOfStock { skus: vec!["mug".to_owned()] }));
    about(order, RESERVATIONS, 1, &ReservationRefused { order_id: order.to_string(), refusal })
}

pub fn captured(order: OrderId) -> Event {
    captured_as(order, reserved())
}

pub fn captured_as(order: OrderId, reserved: Reserved) -> Event {
    let captured = Some(Captured::default());
    about(order, PAYMENTS, 1, &PaymentCaptured { order_id: order.to_string(), captured, reserved: Some(reserved) })
}

pub fn declined(order: OrderId) -> Event {
    let refusal = Some(payment_declined::Refusal::Declined(Declined { reason: "insufficient_funds".to_owned() }));
    about(order, PAYMENTS, 1, &PaymentDeclined { order_id: order.to_string(), refusal, reserved: Some(reserved()) })
}

/// The letter that tells this status of a shipment, as its `version`th.
pub fn shipment(order: OrderId, status: ShipmentStatus, version: i64) -> Event {
    let shipment = Some(Shipment {
        order_id: order.to_string(),
        status: status.into(),
        tracking_number: format!("PB-{version}"),
        version,
        ..Shipment::default()
    });
    match status {
        ShipmentStatus::AwaitingAddress => about(order, SHIPMENTS, version, &ShipmentCreated { shipment }),
        ShipmentStatus::Unspecified | ShipmentStatus::Preparing => {
            about(order, SHIPMENTS, version, &ShipmentPrepared { shipment })
        }
        ShipmentStatus::Dispatched => about(order, SHIPMENTS, version, &ShipmentDispatched { shipment }),
        ShipmentStatus::Delivered => about(order, SHIPMENTS, version, &ShipmentDelivered { shipment }),
        ShipmentStatus::Cancelled => about(order, SHIPMENTS, version, &ShipmentCancelled { shipment }),
    }
}

fn about<P: Payload>(order: OrderId, topic: Topic, sequence: i64, payload: &P) -> Event {
    Event::new(topic, order.to_string(), sequence, Clock::System.now(), payload)
}
