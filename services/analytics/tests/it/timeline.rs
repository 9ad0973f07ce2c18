//! Every letter of an order, over four topics, in one sequence.

use contracts::{
    event::Event,
    events::v1::{
        OrderCompleted, OrderCreated, PaymentCaptured, PaymentDeclined, ReservationHeld, ReservationRefused,
        ShipmentCreated, payment_declined, reservation_refused,
    },
    ids::OrderId,
    inventory::v1::{MixedCurrencies, OutOfStock, Reserved, ReservedLine, UnknownSku},
    order::v1::{self as order_proto, Order, OrderReason, OrderStatus, PaymentStatus, PlacedBy, PricedLine},
    payment::v1::{Captured, Declined, UnknownCard},
    shipping::v1::{Shipment, ShipmentStatus},
    timestamp_to_proto,
    topics::{PAYMENTS, RESERVATIONS, SHIPMENTS},
};
use serde_json::{Value, json};

use crate::{
    desk::Desk,
    letters::{about, completed, line, money, order, time},
    post::Post,
};

#[tokio::test]
async fn the_letters_of_four_topics_are_told_by_time_then_by_sequence() {
    let post = Post::open().await;
    let desk = Desk::open(&post).await;
    let id = OrderId::new();
    let letters = [
        about(id, 1, "2026-11-21T09:00:00.000001Z", &OrderCreated { order: Some(order(id, 1, "EUR")) }),
        Event::new(RESERVATIONS, id.to_string(), 1, time("2026-11-21T09:00:00.000002Z"), &held(id)),
        Event::new(PAYMENTS, id.to_string(), 1, time("2026-11-21T09:00:01Z"), &captured(id)),
        // at the very same time: the second letter of order after the first of shipping
        Event::new(SHIPMENTS, id.to_string(), 1, time("2026-11-21T09:00:02Z"), &shipment(id)),
        completed(id, "2026-11-21T09:00:02Z", 1, "EUR"),
    ];
    let mut sent = letters.to_vec();
    sent.reverse();
    sent.push(completed(OrderId::new(), "2026-11-21T09:00:00Z", 1, "EUR"));
    post.send(&sent).await;
    post.send(&sent).await;
    desk.has_read(&post).await;
    let told = desk.timeline(id).await;
    let entry = |letter: &Event| {
        let (id, time) = (letter.id.to_string(), timestamp_to_proto(letter.time));
        (id, letter.event_type.clone(), letter.source.clone(), Some(time), letter.sequence)
    };
    let told: Vec<_> =
        told.into_iter().map(|told| (told.event_id, told.event_type, told.source, told.time, told.sequence)).collect();
    assert_eq!(told, letters.each_ref().map(entry));
    assert!(desk.timeline(OrderId::new()).await.is_empty());
}

#[tokio::test]
async fn each_letter_is_told_in_the_spelling_of_the_api() {
    let post = Post::open().await;
    let desk = Desk::open(&post).await;
    let id = OrderId::new();
    let at = "2026-11-21T09:00:00.25Z";
    let mut cases: Vec<(Event, Value)> = vec![
        (about(id, 2, at, &OrderCompleted { order: Some(whole_order(id)) }), whole_order_json(id)),
        (
            about(id, 1, at, &OrderCreated { order: Some(unpriced_order(id)) }),
            json!({
                "order_id": id, "status": "REJECTED", "reason": "OUT_OF_STOCK",
                "lines": [{"sku": "mug", "quantity": 2, "unit_price": null, "line_total": null}], "total": null,
                "placed_by": "letter", "payment": {"status": "NONE"}, "shipment": null,
                "version": 0, "created_at": null, "updated_at": null,
            }),
        ),
        (
            Event::new(SHIPMENTS, id.to_string(), 1, time(at), &shipment(id)),
            json!({
                "shipment_id": "01936b1e-7c5a-7cc2-a3f1-0242ac120009", "order_id": id, "status": "AWAITING_ADDRESS",
                "tracking_number": null, "created_at": "2026-11-21T09:00:02Z", "updated_at": "2026-11-21T09:00:02Z",
            }),
        ),
    ];
    let lines = json!([{"sku": "mug", "quantity": 2, "unit_price": euros(625), "line_total": euros(1250)}]);
    cases.push((
        Event::new(RESERVATIONS, id.to_string(), 1, time(at), &held(id)),
        json!({"order_id": id, "lines": lines, "total": euros(1250)}),
    ));
    cases.push((
        Event::new(PAYMENTS, id.to_string(), 1, time(at), &captured(id)),
        json!({"order_id": id, "captured_at": "2026-11-21T09:00:01Z", "lines": lines, "total": euros(1250)}),
    ));
    let letters: Vec<Event> = cases.iter().map(|(letter, _)| letter.clone()).collect();
    post.send(&letters).await;
    desk.has_read(&post).await;
    assert_told(&desk, id, &cases).await;
}

#[tokio::test]
async fn each_refusal_is_told_with_the_reason_that_the_order_will_have() {
    use payment_declined::Refusal as Payment;
    use reservation_refused::Refusal as Stock;
    let post = Post::open().await;
    let desk = Desk::open(&post).await;
    let id = OrderId::new();
    let skus = || vec!["last-one".to_owned()];
    let refused = |refusal, data: Value| {
        let payload = ReservationRefused { order_id: id.to_string(), refusal };
        (Event::new(RESERVATIONS, id.to_string(), 1, time("2026-11-21T09:00:00Z"), &payload), data)
    };
    let declined = |refusal, data: Value| {
        let payload = PaymentDeclined { order_id: id.to_string(), refusal, reserved: None };
        (Event::new(PAYMENTS, id.to_string(), 1, time("2026-11-21T09:00:00Z"), &payload), data)
    };
    let cases = [
        refused(
            Some(Stock::OutOfStock(OutOfStock { skus: skus() })),
            json!({"order_id": id, "reason": "OUT_OF_STOCK", "skus": ["last-one"]}),
        ),
        refused(
            Some(Stock::UnknownSku(UnknownSku { skus: skus() })),
            json!({"order_id": id, "reason": "UNKNOWN_SKU", "skus": ["last-one"]}),
        ),
        refused(
            Some(Stock::MixedCurrencies(MixedCurrencies {})),
            json!({"order_id": id, "reason": "MIXED_CURRENCIES"}),
        ),
        // a refusal that is newer than this program
        refused(None, json!({"order_id": id, "reason": null})),
        declined(
            Some(Payment::Declined(Declined { reason: "insufficient_funds".to_owned() })),
            json!({
                "order_id": id, "reason": "PAYMENT_DECLINED", "network_reason": "insufficient_funds",
                "lines": [], "total": null,
            }),
        ),
        declined(
            Some(Payment::UnknownCard(UnknownCard {})),
            json!({"order_id": id, "reason": "UNKNOWN_CARD", "lines": [], "total": null}),
        ),
        declined(None, json!({"order_id": id, "reason": null, "lines": [], "total": null})),
    ];
    let letters: Vec<Event> = cases.iter().map(|(letter, _)| letter.clone()).collect();
    post.send(&letters).await;
    desk.has_read(&post).await;
    assert_told(&desk, id, &cases).await;
}

async fn assert_told(desk: &Desk, order: OrderId, cases: &[(Event, Value)]) {
    let told = desk.timeline(order).await;
    assert_eq!(told.len(), cases.len());
    for (letter, expected) in cases {
        let entry = told.iter().find(|entry| entry.event_id == letter.id.to_string()).expect("it is told");
        let data: Value = serde_json::from_str(&entry.data_json).unwrap();
        assert_eq!(data, *expected, "{}", letter.event_type);
    }
}

fn euros(amount_minor: i64) -> Value {
    json!({"amount_minor": amount_minor, "currency": "EUR"})
}

fn whole_order(id: OrderId) -> Order {
    Order {
        order_id: id.to_string(),
        customer_id: OrderId::new().to_string(),
        status: OrderStatus::Completed.into(),
        reason: OrderReason::Unspecified.into(),
        lines: vec![line("mug", 2, 625, "EUR")],
        total: Some(money(1_250, "EUR")),
        placed_by: PlacedBy::Telephone.into(),
        payment_status: PaymentStatus::Captured.into(),
        shipment: Some(order_proto::Shipment {
            status: order_proto::ShipmentStatus::Preparing.into(),
            tracking_number: "PB0011223344556677".to_owned(),
        }),
        version: 2,
        created_at: Some(timestamp_to_proto(time("2026-11-21T08:59:00Z"))),
        updated_at: Some(timestamp_to_proto(time("2026-11-21T09:00:00.25Z"))),
    }
}

fn whole_order_json(id: OrderId) -> Value {
    json!({
        "order_id": id,
        "status": "COMPLETED",
        "lines": [{"sku": "mug", "quantity": 2, "unit_price": euros(625), "line_total": euros(1250)}],
        "total": euros(1250),
        "placed_by": "telephone",
        "payment": {"status": "CAPTURED"},
        "shipment": {"status": "PREPARING", "tracking_number": "PB0011223344556677"},
        "version": 2,
        "created_at": "2026-11-21T08:59:00Z",
        "updated_at": "2026-11-21T09:00:00.25Z",
    })
}

fn unpriced_order(id: OrderId) -> Order {
    Order {
        order_id: id.to_string(),
        status: OrderStatus::Rejected.into(),
        reason: OrderReason::OutOfStock.into(),
        lines: vec![PricedLine { sku: "mug".to_owned(), quantity: 2, unit_price: None, line_total: None }],
        placed_by: PlacedBy::Letter.into(),
        payment_status: PaymentStatus::None.into(),
        ..Order::default()
    }
}

fn reserved() -> Reserved {
    let PricedLine { sku, quantity, unit_price, line_total } = line("mug", 2, 625, "EUR");
    Reserved { lines: vec![ReservedLine { sku, quantity, unit_price, line_total }], total: Some(money(1_250, "EUR")) }
}

fn held(id: OrderId) -> ReservationHeld {
    ReservationHeld { order_id: id.to_string(), reserved: Some(reserved()) }
}

fn captured(id: OrderId) -> PaymentCaptured {
    let captured_at = Some(timestamp_to_proto(time("2026-11-21T09:00:01Z")));
    PaymentCaptured { order_id: id.to_string(), captured: Some(Captured { captured_at }), reserved: Some(reserved()) }
}

fn shipment(id: OrderId) -> ShipmentCreated {
    let at = Some(timestamp_to_proto(time("2026-11-21T09:00:02Z")));
    ShipmentCreated {
        shipment: Some(Shipment {
            shipment_id: "01936b1e-7c5a-7cc2-a3f1-0242ac120009".to_owned(),
            order_id: id.to_string(),
            status: ShipmentStatus::AwaitingAddress.into(),
            version: 1,
            created_at: at,
            updated_at: at,
            customer_id: OrderId::new().to_string(),
            ..Shipment::default()
        }),
    }
}
