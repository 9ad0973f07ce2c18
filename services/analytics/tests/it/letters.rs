//! Letters, as the services write them.

use contracts::{
    event::{Event, Payload},
    events::v1::{OrderCancelled, OrderCompleted},
    ids::{AccountId, OrderId},
    money::v1::Money,
    order::v1::{Order, PaymentStatus, PricedLine},
    topics::ORDERS,
};
use jiff::Timestamp;

pub fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub fn money(amount_minor: i64, currency: &str) -> Money {
    Money { amount_minor, currency: currency.to_owned() }
}

/// A line that is priced.
pub fn line(sku: &str, quantity: u32, unit_price: i64, currency: &str) -> PricedLine {
    PricedLine {
        sku: sku.to_owned(),
        quantity,
        unit_price: Some(money(unit_price, currency)),
        line_total: Some(money(unit_price * i64::from(quantity), currency)),
    }
}

/// An order of one line that costs `total`.
pub fn order(id: OrderId, total: i64, currency: &str) -> Order {
    Order {
        order_id: id.to_string(),
        customer_id: AccountId::new().to_string(),
        lines: vec![line("mug", 1, total, currency)],
        total: Some(money(total, currency)),
        payment_status: PaymentStatus::Captured.into(),
        ..Order::default()
    }
}

/// A letter of order.
pub fn about<P: Payload>(id: OrderId, sequence: i64, at: &str, payload: &P) -> Event {
    Event::new(ORDERS, id.to_string(), sequence, time(at), payload)
}

/// `order.completed` of an order that costs `total`.
pub fn completed(id: OrderId, at: &str, total: i64, currency: &str) -> Event {
    about(id, 2, at, &OrderCompleted { order: Some(order(id, total, currency)) })
}

/// `order.cancelled` of an order that cost `total`, with what came of its payment.
pub fn cancelled(id: OrderId, at: &str, total: i64, currency: &str, payment: PaymentStatus) -> Event {
    let order = Order { payment_status: payment.into(), ..order(id, total, currency) };
    about(id, 4, at, &OrderCancelled { order: Some(order) })
}
