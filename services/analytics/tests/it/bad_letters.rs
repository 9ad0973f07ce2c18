//! What analytics does with letters that it did not expect.

use contracts::{
    analytics::v1::Window,
    event::Event,
    events::v1::{OrderCancelled, OrderCompleted, OrderCreated, PaymentCaptured, ReservationHeld, ShipmentCreated},
    ids::OrderId,
    money::v1::Money,
    order::v1::{Order, PaymentStatus, PricedLine},
    shipping::v1::Shipment,
    topics::{PAYMENTS, RESERVATIONS, SHIPMENTS},
};

use crate::{
    desk::Desk,
    letters::{about, cancelled, completed, line, money, order, time},
    post::Post,
    stories::{FROM, TO},
};

const AT: &str = "2026-11-21T09:00:00Z";

#[tokio::test]
async fn a_letter_that_makes_no_sense_is_set_aside_and_leaves_nothing_behind() {
    let post = Post::open().await;
    let desk = Desk::open(&post).await;
    let bad = bad_letters();
    for (letter, _) in &bad {
        post.send(std::slice::from_ref(letter)).await;
    }
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
    assert_eq!((sales[0].orders, sales[0].revenue.clone()), (1, money(1_000, "EUR")));
    assert_eq!(desk.number("SELECT count(*) FROM product_minute").await, 1);
}

/// Each letter with what is said of it.
fn bad_letters() -> Vec<(Event, &'static str)> {
    let (id, other) = (OrderId::new, OrderId::new().to_string());
    let completes = |change: fn(&mut Order)| {
        let id = id();
        let mut order = order(id, 5, "EUR");
        change(&mut order);
        about(id, 2, AT, &OrderCompleted { order: Some(order) })
    };
    let change = |mut letter: Event, change: fn(&mut Event)| {
        change(&mut letter);
        letter
    };
    let sent = |topic, payload: &dyn Fn(String) -> Event| -> Event {
        let id = id().to_string();
        Event { subject: id.clone(), source: contracts::topics::Topic::source(topic).to_owned(), ..payload(id) }
    };
    let at = time(AT);
    vec![
        (
            change(completed(id(), AT, 5, "EUR"), |letter| letter.payload = vec![0xff; 3]),
            "the payload is no order.comp",
        ),
        (about(id(), 1, AT, &OrderCreated { order: None }), "the letter has no order"),
        (about(id(), 1, AT, &OrderCreated { order: Some(order(id(), 5, "EUR")) }), "is about order"),
        (
            change(completed(id(), AT, 5, "EUR"), |letter| letter.subject = "an-order".to_owned()),
            "ce_subject: an order",
        ),
        (change(completed(id(), AT, 5, "EUR"), |letter| letter.time = jiff::Timestamp::MIN), "timestamp out of range"),
        (completes(|order| order.total = None), "order.total: the amount is missing"),
        (completes(|order| order.total = money(-1, "EUR")), "order.total: an amount must not be negative"),
        (completes(|order| order.total = money(1, "euro")), "order.total: a currency is"),
        (completes(|order| order.lines[0].line_total = None), "the line of mug: the amount is missing"),
        (completes(|order| order.lines[0].quantity = 0), "the line of mug: a quantity is"),
        (completes(|order| order.lines[0].sku = "A Mug".to_owned()), "lines.sku: a SKU is"),
        (completes(|order| order.lines = vec![dear(), dear()]), "bigint out of range"),
        (without_total(cancelled(id(), AT, 5, "EUR", PaymentStatus::Refunded)), "order.total: the amount is missing"),
        (
            sent(RESERVATIONS, &|_| {
                Event::new(
                    RESERVATIONS,
                    String::new(),
                    1,
                    at,
                    &ReservationHeld { order_id: other.clone(), reserved: None },
                )
            }),
            "is about order",
        ),
        (
            sent(PAYMENTS, &|_| {
                let payload = PaymentCaptured { order_id: other.clone(), ..PaymentCaptured::default() };
                Event::new(PAYMENTS, String::new(), 1, at, &payload)
            }),
            "is about order",
        ),
        (
            sent(SHIPMENTS, &|_| Event::new(SHIPMENTS, String::new(), 1, at, &ShipmentCreated { shipment: None })),
            "the letter has no shipment",
        ),
        (
            sent(SHIPMENTS, &|_| {
                let shipment = Shipment { order_id: other.clone(), ..Shipment::default() };
                Event::new(SHIPMENTS, String::new(), 1, at, &ShipmentCreated { shipment: Some(shipment) })
            }),
            "is about order",
        ),
    ]
}

/// Two of these are more than there is.
fn dear() -> PricedLine {
    PricedLine {
        line_total: Some(Money { amount_minor: i64::MAX, currency: "EUR".to_owned() }),
        ..line("mug", 1, 1, "EUR")
    }
}

fn without_total(letter: Event) -> Event {
    let mut payload: OrderCancelled = letter.decode().unwrap();
    payload.order.as_mut().expect("it has one").total = None;
    Event { payload: prost::Message::encode_to_vec(&payload), ..letter }
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
    assert_eq!(desk.sales(Window::Minute, FROM, TO).await.unwrap()[0].revenue, money(1_000, "EUR"));
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
