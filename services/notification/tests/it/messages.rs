//! A letter becomes a message, or none.

use contracts::{
    event::Event,
    events::v1::{
        OrderCancelled, OrderCancelling, OrderCompleted, OrderCreated, OrderPaymentUpdated, OrderRejected,
        OrderShipmentUpdated, ShipmentCancelled, ShipmentCreated, ShipmentDelivered, ShipmentPrepared,
    },
    ids::{AccountId, OrderId},
    order::v1::{Order, OrderReason, PaymentStatus},
    shipping::v1::{Shipment, ShipmentStatus},
    topics::{ORDERS, SHIPMENTS},
};
use testkit::SOON;

use crate::{
    desk::Desk,
    letters::{about_order, about_shipment, completed, dispatched, parcel, two_mugs},
};

#[tokio::test]
async fn each_letter_that_a_customer_is_told_about_makes_one_message() {
    let desk = Desk::alone().await;
    let (order, customer) = (OrderId::new(), AccountId::new());
    let told = two_mugs(order, customer);
    let declined = Order { reason: OrderReason::PaymentDeclined.into(), ..told.clone() };
    let refunded = Order { payment_status: PaymentStatus::Refunded.into(), ..told.clone() };
    let waiting = parcel(order, customer, ShipmentStatus::AwaitingAddress);
    let arrived = parcel(order, customer, ShipmentStatus::Delivered);
    let cases = [
        (about_order(order, &OrderCompleted { order: Some(told) }), "Thank you for your order", "Total: 25.00 EUR"),
        (
            about_order(order, &OrderRejected { order: Some(declined) }),
            "Your order could not be placed",
            "Your card was declined.",
        ),
        (
            about_order(order, &OrderCancelled { order: Some(refunded) }),
            "Your order is cancelled",
            "25.00 EUR are on their way back to your card.",
        ),
        (
            about_shipment(order, &ShipmentCreated { shipment: Some(waiting) }),
            "Where shall we send your order?",
            "Please add one",
        ),
        (dispatched(order, customer), "Your parcel is on its way", "PBA3F10242AC120002"),
        (
            about_shipment(order, &ShipmentDelivered { shipment: Some(arrived) }),
            "Your parcel has arrived",
            "was delivered",
        ),
    ];
    for (letter, _, _) in &cases {
        desk.post(letter).await;
    }
    for (letter, subject, body) in &cases {
        let row = desk.written(letter).await;
        assert_eq!((row.customer_id, row.order_id), (customer.as_uuid(), order.as_uuid()));
        assert_eq!((&row.event_type, row.subject.as_str()), (&letter.event_type, *subject));
        assert!(row.body.contains(body), "{}", row.body);
    }
    assert_eq!(desk.count("SELECT count(*) FROM message").await, 6);
}

#[tokio::test]
async fn a_letter_that_comes_three_times_makes_one_message() {
    let desk = Desk::alone().await;
    let (order, customer) = (OrderId::new(), AccountId::new());
    let letters = [completed(order, customer), dispatched(order, customer)];
    for letter in &letters {
        desk.post(letter).await;
        desk.post(letter).await;
    }
    // also when the first is long done
    desk.settle().await;
    for letter in &letters {
        desk.post(letter).await;
    }
    desk.settle().await;
    assert_eq!(desk.count("SELECT count(*) FROM message").await, 2);
    assert_eq!(desk.count("SELECT count(*) FROM consumer_parked").await, 0);
}

#[tokio::test]
async fn letters_that_come_together_make_a_message_each_and_a_bad_one_is_set_aside_alone() {
    let mut desk = Desk::alone().await;
    desk.settle().await;
    desk.kill();
    let new = || (OrderId::new(), AccountId::new());
    let order = |(order, customer)| completed(order, customer);
    let parcel_of = |(order, customer)| dispatched(order, customer);
    let good = [order(new()), order(new()), parcel_of(new()), parcel_of(new())];
    let garbled = |letter: Event| Event { payload: vec![0xff; 3], ..letter };
    let no_news = {
        let (order, customer) = new();
        let shipment = Some(parcel(order, customer, ShipmentStatus::Preparing));
        about_shipment(order, &ShipmentCreated { shipment })
    };
    let together = [&good[0], &garbled(order(new())), &good[1], &good[0]];
    let of_parcels = [&good[2], &no_news, &garbled(parcel_of(new())), &good[3], &good[2]];
    for letter in together.into_iter().chain(of_parcels) {
        desk.post(letter).await;
    }
    desk.start_again();
    desk.settle().await;
    for letter in &good {
        let row = desk.written(letter).await;
        assert_eq!((&row.event_type, row.order_id.to_string()), (&letter.event_type, letter.subject.clone()));
    }
    assert_eq!(desk.count("SELECT count(*) FROM message").await, 4);
    assert_eq!(desk.count("SELECT count(*) FROM consumer_parked").await, 2);
}

#[tokio::test]
async fn letters_that_are_no_news_make_no_message() {
    let desk = Desk::alone().await;
    let (order, customer) = (OrderId::new(), AccountId::new());
    let told = Some(two_mugs(order, customer));
    desk.post(&about_order(order, &OrderCreated { order: told.clone() })).await;
    desk.post(&about_order(order, &OrderCancelling { order: told.clone() })).await;
    desk.post(&about_order(order, &OrderPaymentUpdated { order: told.clone() })).await;
    desk.post(&about_order(order, &OrderShipmentUpdated { order: told })).await;
    let shipment = |status| Some(parcel(order, customer, status));
    desk.post(&about_shipment(order, &ShipmentCreated { shipment: shipment(ShipmentStatus::Preparing) })).await;
    desk.post(&about_shipment(order, &ShipmentPrepared { shipment: shipment(ShipmentStatus::Preparing) })).await;
    desk.post(&about_shipment(order, &ShipmentCancelled { shipment: shipment(ShipmentStatus::Cancelled) })).await;
    let unheard_of = |letter: Event| Event { event_type: "order.gift_wrapped".to_owned(), ..letter };
    desk.post(&unheard_of(completed(order, customer))).await;
    desk.post(&unheard_of(dispatched(order, customer))).await;
    desk.settle().await;
    assert_eq!(desk.count("SELECT count(*) FROM message").await, 0);
    assert_eq!(desk.count("SELECT count(*) FROM consumer_parked").await, 0);
}

#[tokio::test]
async fn a_letter_that_makes_no_sense_is_set_aside_and_other_orders_go_on() {
    let desk = Desk::alone().await;
    let garbled = |letter: Event| Event { payload: vec![0xff; 3], ..letter };
    let empty = |letter: Event| Event { payload: Vec::new(), ..letter };
    // right in form, but about another order than its envelope says
    let mistaken = |letter: Event| Event { subject: OrderId::new().to_string(), ..letter };
    for spoil in [garbled, empty, mistaken] {
        desk.post(&spoil(completed(OrderId::new(), AccountId::new()))).await;
        desk.post(&spoil(dispatched(OrderId::new(), AccountId::new()))).await;
    }
    desk.post_without_a_value(ORDERS, &completed(OrderId::new(), AccountId::new())).await;
    desk.post_without_a_value(SHIPMENTS, &dispatched(OrderId::new(), AccountId::new())).await;
    for customer_id in ["", "somebody"] {
        let order = OrderId::new();
        let told = Order { customer_id: customer_id.to_owned(), ..two_mugs(order, AccountId::new()) };
        desk.post(&about_order(order, &OrderCompleted { order: Some(told) })).await;
    }
    let order = OrderId::new();
    let shipment =
        Shipment { customer_id: "somebody".to_owned(), ..parcel(order, AccountId::new(), ShipmentStatus::Delivered) };
    desk.post(&about_shipment(order, &ShipmentDelivered { shipment: Some(shipment) })).await;
    let order = OrderId::new();
    let unpriced = Order { total: None, ..two_mugs(order, AccountId::new()) };
    desk.post(&about_order(order, &OrderCompleted { order: Some(unpriced) })).await;
    desk.settle().await;
    assert_eq!(desk.count("SELECT count(*) FROM message").await, 0);
    testkit::eventually(SOON, "the twelve letters are parked", async || {
        desk.count("SELECT count(*) FROM consumer_parked").await == 12
    })
    .await;
}

#[tokio::test]
async fn a_shipment_from_before_letters_named_the_customer_is_told_to_nobody_and_holds_up_nothing() {
    let desk = Desk::alone().await;
    let (order, customer) = (OrderId::new(), AccountId::new());
    let nobodys = Shipment { customer_id: String::new(), ..parcel(order, customer, ShipmentStatus::AwaitingAddress) };
    desk.post(&about_shipment(order, &ShipmentCreated { shipment: Some(nobodys) })).await;
    // the same order, after the upgrade
    let next = dispatched(order, customer);
    desk.post(&next).await;
    desk.written(&next).await;
    assert_eq!(desk.count("SELECT count(*) FROM message").await, 1);
    assert_eq!(desk.count("SELECT count(*) FROM consumer_parked").await, 0);
    assert!(desk.log().contains("the shipment names no customer"));
}

#[tokio::test]
async fn a_letter_of_a_later_version_is_read_without_what_is_new() {
    let desk = Desk::alone().await;
    let (order, customer) = (OrderId::new(), AccountId::new());
    // field 1007, one byte long
    let with_a_new_field = |mut letter: Event| {
        letter.payload.extend([0xfa, 0x3e, 0x01, b'x']);
        letter
    };
    let rejected = Order { reason: 1_000, ..two_mugs(order, customer) };
    let letters = [
        with_a_new_field(completed(order, customer)),
        with_a_new_field(dispatched(order, customer)),
        about_order(order, &OrderRejected { order: Some(rejected) }),
    ];
    for letter in &letters {
        desk.post(letter).await;
    }
    for letter in &letters {
        desk.written(letter).await;
    }
}
