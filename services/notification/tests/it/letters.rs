//! The letters that notification hears, as their services write them.

use contracts::{
    event::{Event, Payload},
    events::v1::{OrderCompleted, ShipmentDispatched},
    ids::{AccountId, OrderId},
    money::v1::Money,
    order::v1::{Order, OrderStatus, PricedLine},
    shipping::v1::{Shipment, ShipmentStatus},
    topics::{ORDERS, SHIPMENTS},
};
use service_runtime::clock::Clock;

/// A letter about an order.
pub fn about_order<P: Payload>(order: OrderId, payload: &P) -> Event {
    Event::new(ORDERS, order.to_string(), 2, Clock::System.now(), payload)
}

/// A letter about a shipment.
pub fn about_shipment<P: Payload>(order: OrderId, payload: &P) -> Event {
    Event::new(SHIPMENTS, order.to_string(), 1, Clock::System.now(), payload)
}

/// The letter that an order of two mugs is completed.
pub fn completed(order: OrderId, customer: AccountId) -> Event {
    about_order(order, &OrderCompleted { order: Some(two_mugs(order, customer)) })
}

/// The letter that a parcel left.
pub fn dispatched(order: OrderId, customer: AccountId) -> Event {
    about_shipment(order, &ShipmentDispatched { shipment: Some(parcel(order, customer, ShipmentStatus::Dispatched)) })
}

/// Two mugs at 12.50 EUR each.
pub fn two_mugs(order: OrderId, customer: AccountId) -> Order {
    let eur = |amount_minor| Some(Money { amount_minor, currency: "EUR".to_owned() });
    let line = PricedLine { sku: "mug".to_owned(), quantity: 2, unit_price: eur(1250), line_total: eur(2500) };
    Order {
        order_id: order.to_string(),
        customer_id: customer.to_string(),
        status: OrderStatus::Completed.into(),
        lines: vec![line],
        total: eur(2500),
        version: 2,
        ..Order::default()
    }
}

/// The parcel of an order.
pub fn parcel(order: OrderId, customer: AccountId, status: ShipmentStatus) -> Shipment {
    Shipment {
        order_id: order.to_string(),
        customer_id: customer.to_string(),
        status: status.into(),
        tracking_number: "PBA3F10242AC120002".to_owned(),
        version: 1,
        ..Shipment::default()
    }
}
