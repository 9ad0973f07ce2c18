//! What analytics does with letters that it did not expect.

use contracts::{
    analytics::v1::Window,
    event::{Event, Payload},
    events::v1::{OrderCancelled, OrderCompleted, OrderCreated, PaymentCaptured, ReservationHeld, ShipmentCreated},
    ids::OrderId,
    order::v1::{Order, PaymentStatus, PricedLine},
    shipping::v1::Shipment,
    topics::{ORDERS, PAYMENTS, RESERVATIONS, SHIPMENTS, Topic},
};
use jiff::Timestamp;

use crate::{
    desk::Desk,
    letters::{about, completed, line, money, order, time},
    post::Post,
    stories::{FROM, TO},
};

const AT: &str = "2026-11-21T09:00:00Z";

#[tokio::test]
async fn a_letter_that_makes_no_sense_is_set_aside_and_leaves_nothing_behind() {
    let post = Post::open().await;
    let desk = Desk::open(&post).await;
    let bad = bad_letters();
    let letters: Vec<Event> = bad.iter().map(|(letter, _)| letter.clone()).collect();
    post.send(&letters).await;
    post.send_without_value(&completed(OrderId::new(), AT, 1, "EUR")).await;
    // other orders go on
    post.send(&[completed(OrderId::new(), AT, 1_000, "EUR")]).await;
    desk.has_read(&post).await;
    let errors = desk.texts("SELECT error FROM consumer_parked ORDER BY id").await;
    for expected in bad.iter().map(|(_, error)| *error).chain(["the value is null"]) {
        assert!(errors.iter().any(|error| error.contains(expected)), "nothing says {expected:?}: {errors:#?}");
    }
    assert_eq!(errors.len(), bad.len() + 1);
    assert_eq!(desk.number("SELECT count(*) FROM timeline").await, 1);
    let sales = desk.sales(Window::Minute, FROM, TO).await.unwrap();
    assert_eq!(sales.len(), 1);
    assert_eq!((sales[0].orders, sales[0].revenue.clone()), (1, Some(money(1_000, "EUR"))));
    assert_eq!(desk.number("SELECT count(*) FROM product_minute").await, 1);
}

/// Each letter with what is said of it.
fn bad_letters() -> Vec<(Event, &'static str)> {
    let id = OrderId::new;
    let good = || completed(id(), AT, 5, "EUR");
    let other = Shipment { order_id: id().to_string(), ..Shipment::default() };
    vec![
        (Event { payload: vec![0xff; 3], ..good() }, "the payload is no order.completed"),
        (Event { subject: "an-order".to_owned(), ..good() }, "ce_subject: an order id must be"),
        (Event { time: Timestamp::MIN, ..good() }, "timestamp out of range"),
        (letter(ORDERS, &OrderCreated { order: None }), "the letter has no order"),
        (letter(SHIPMENTS, &ShipmentCreated { shipment: None }), "the letter has no shipment"),
        (letter(ORDERS, &OrderCreated { order: Some(order(id(), 5, "EUR")) }), "is about order"),
        (letter(RESERVATIONS, &ReservationHeld { order_id: id().to_string(), reserved: None }), "is about order"),
        (
            letter(PAYMENTS, &PaymentCaptured { order_id: id().to_string(), ..PaymentCaptured::default() }),
            "is about order",
        ),
        (letter(SHIPMENTS, &ShipmentCreated { shipment: Some(other) }), "is about order"),
        (sells(|order| order.total = None), "order.total: the amount is missing"),
        (sells(|order| order.total = Some(money(-1, "EUR"))), "order.total: an amount must not be negative"),
        (sells(|order| order.total = Some(money(1, "euro"))), "order.total: a currency is"),
        (sells(|order| order.lines[0].line_total = None), "the line of mug: the amount is missing"),
        (sells(|order| order.lines[0].quantity = 0), "the line of mug: a quantity is"),
        (sells(|order| order.lines[0] = line("A Mug", 1, 5, "EUR")), "lines.sku: a SKU is"),
        (sells(|order| order.lines = vec![dear(), dear()]), "bigint out of range"),
        (gives_back_without_total(), "order.total: the amount is missing"),
    ]
}

/// A letter about some order.
fn letter<P: Payload>(topic: Topic, payload: &P) -> Event {
    Event::new(topic, OrderId::new().to_string(), 1, time(AT), payload)
}

/// `order.completed` of an order that is not quite right.
fn sells(spoil: fn(&mut Order)) -> Event {
    let id = OrderId::new();
    let mut order = order(id, 5, "EUR");
    spoil(&mut order);
    about(id, 2, AT, &OrderCompleted { order: Some(order) })
}

fn gives_back_without_total() -> Event {
    let id = OrderId::new();
    let order = Order { total: None, payment_status: PaymentStatus::Refunded.into(), ..order(id, 5, "EUR") };
    about(id, 4, AT, &OrderCancelled { order: Some(order) })
}

/// Two of these are more than there is.
fn dear() -> PricedLine {
    PricedLine { line_total: Some(money(i64::MAX, "EUR")), ..line("mug", 1, 1, "EUR") }
}

#[tokio::test]
async fn a_letter_with_fields_that_are_not_known_yet_is_counted_without_them() {
    let post = Post::open().await;
    let desk = Desk::open(&post).await;
    let id = OrderId::new();
    let mut newer = completed(id, AT, 1_000, "EUR");
    // the field 1000, a varint, is 1
    newer.payload.extend([0xc0, 0x3e, 0x01]);
    post.send(&[newer]).await;
    desk.has_read(&post).await;
    assert_eq!(desk.timeline(id).await.len(), 1);
    assert_eq!(desk.sales(Window::Minute, FROM, TO).await.unwrap()[0].revenue, Some(money(1_000, "EUR")));
}

#[tokio::test]
async fn a_letter_of_an_unknown_type_is_in_the_timeline_without_data_and_counts_nothing() {
    let post = Post::open().await;
    let desk = Desk::open(&post).await;
    let id = OrderId::new();
    let mut unheard_of = completed(id, AT, 1_000, "EUR");
    unheard_of.event_type = "order.gift_wrapped".to_owned();
    post.send(&[unheard_of]).await;
    desk.has_read(&post).await;
    let told = desk.timeline(id).await;
    let told: Vec<_> = told.iter().map(|entry| (entry.event_type.as_str(), entry.data_json.as_str())).collect();
    assert_eq!(told, [("order.gift_wrapped", "{}")]);
    assert!(desk.sales(Window::Minute, FROM, TO).await.unwrap().is_empty());
    assert_eq!(desk.number("SELECT count(*) FROM consumer_parked").await, 0);
}
