//! Letters as the relay sends them: completed orders of two lines, in the platform's own envelope.

use std::collections::HashMap;

use contracts::{
    event::Event,
    events::v1::OrderCompleted,
    money::v1::Money,
    order::v1::{Order, OrderStatus, PaymentStatus, PlacedBy, PricedLine},
    timestamp_to_proto,
    topics::ORDERS,
};
use jiff::Timestamp;
use rdkafka::{
    message::{Header, OwnedHeaders},
    producer::BaseRecord,
};
use uuid::Uuid;

use crate::chance;

/// So many, as the relay takes in one round at the most.
const COUNT: u64 = 2_000;

/// When the first order was completed.
const BEGAN_MICROS: i64 = 1_800_000_000_123_456;

/// Letters of as many orders.
pub struct Letters(Vec<Event>);

impl Letters {
    /// Writes them.
    pub fn write() -> Self {
        Self((0..COUNT).map(letter).collect())
    }

    /// The number of letters.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The number of each letter, by its key.
    pub fn numbers(&self) -> HashMap<Vec<u8>, u64> {
        self.0.iter().map(|letter| letter.subject.as_bytes().to_vec()).zip(0..).collect()
    }

    /// The letter with this number, counted round and round, made into a record as the relay does it.
    pub fn record<'a>(&'a self, topic: &'a str, number: usize) -> BaseRecord<'a, str, [u8], usize> {
        let letter = &self.0[number % self.0.len()];
        let headers = letter.to_headers();
        let headers = headers.iter().fold(OwnedHeaders::new_with_capacity(headers.len()), |all, (key, value)| {
            all.insert(Header { key, value: Some(value) })
        });
        BaseRecord::with_opaque_to(topic, number)
            .key(letter.subject.as_str())
            .payload(letter.payload.as_slice())
            .headers(headers)
    }
}

/// What is in it is by chance, so that it compresses as real ones do, and no better.
fn letter(number: u64) -> Event {
    let chance = |of: u64| chance::of(number << 8 | of);
    let id = |of| Uuid::from_u64_pair(chance(of), chance(of + 1)).to_string();
    let money = |units| Some(Money { amount_minor: units, currency: "EUR".to_owned() });
    let line = |of: u64| {
        let price = i64::try_from(chance(of) % 10_000).expect("a small number");
        PricedLine {
            sku: format!("sku-{:04}", chance(of + 1) % 2_000),
            quantity: 1,
            unit_price: money(price),
            line_total: money(price),
        }
    };
    let micros = BEGAN_MICROS + i64::try_from(number).expect("a small number");
    let at = Timestamp::from_microsecond(micros).expect("a year like ours");
    let order_id = id(0);
    let order = Order {
        order_id: order_id.clone(),
        customer_id: id(2),
        status: OrderStatus::Completed.into(),
        lines: vec![line(4), line(6)],
        total: money(4_200),
        placed_by: PlacedBy::Telephone.into(),
        payment_status: PaymentStatus::Captured.into(),
        version: 2,
        created_at: Some(timestamp_to_proto(at)),
        updated_at: Some(timestamp_to_proto(at)),
        ..Order::default()
    };
    let mut event = Event::new(ORDERS, order_id, order.version, at, &OrderCompleted { order: Some(order) });
    event.traceparent = Some(format!("00-{:016x}{:016x}-{:016x}-01", chance(8), chance(9), chance(10)));
    event
}
