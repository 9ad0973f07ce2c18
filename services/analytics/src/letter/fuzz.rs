//! Whatever lies on a topic in a right envelope.

use std::fmt::Debug;

use contracts::{
    inventory::v1::Reserved,
    money::v1::Money as MoneyMessage,
    order::v1::{OrderStatus, PlacedBy},
    timestamp_to_proto,
};
use prost::Message;
use serde_json::Value;
use uuid::Uuid;

use super::*;

const ORDER: &str = "01936b1e-7c5a-7cc2-a3f1-0242ac120002";

/// Every type that is known, and one that is not. The first byte of what is sent to the target chooses one.
const TYPES: [&str; 17] = [
    OrderCreated::TYPE,
    OrderCompleted::TYPE,
    OrderRejected::TYPE,
    OrderCancelling::TYPE,
    OrderCancelled::TYPE,
    OrderPaymentUpdated::TYPE,
    OrderShipmentUpdated::TYPE,
    ReservationHeld::TYPE,
    ReservationRefused::TYPE,
    PaymentCaptured::TYPE,
    PaymentDeclined::TYPE,
    ShipmentCreated::TYPE,
    ShipmentPrepared::TYPE,
    ShipmentDispatched::TYPE,
    ShipmentDelivered::TYPE,
    ShipmentCancelled::TYPE,
    "order.unheard_of",
];

#[test]
fn a_letter_that_is_read_is_about_its_order_and_told_as_json_and_counts_what_it_carries() {
    fuzzing::target!("payloads", &examples(), |bytes| {
        let Some((&chosen, payload)) = bytes.split_first() else { return };
        let event_type = TYPES[usize::from(chosen) % TYPES.len()];
        let event = Event {
            id: Uuid::nil(),
            event_type: event_type.to_owned(),
            source: "/order".to_owned(),
            subject: ORDER.to_owned(),
            time: "2026-11-21T09:00:00Z".parse().expect("a time"),
            sequence: 1,
            traceparent: None,
            payload: payload.to_vec(),
        };
        let Ok(letter) = Letter::read(&event) else { return };
        assert_eq!(letter.order.to_string(), ORDER);
        let told: Value = serde_json::from_str(&letter.data_json).expect("it is told as JSON");
        assert!(told.is_object(), "told as {told}");
        match letter.figure {
            None => assert_ne!(event_type, OrderCompleted::TYPE, "a completed order counts"),
            Some(Figure::Sold { total, lines }) => {
                assert_eq!(event_type, OrderCompleted::TYPE);
                let carried = event.decode::<OrderCompleted>().expect("it was read").order.expect("it was there");
                assert_eq!(carried.total, Some(total.into()));
                assert_eq!(carried.lines.len(), lines.len());
            }
            Some(Figure::GivenBack(amount)) => {
                assert_eq!(event_type, OrderCancelled::TYPE);
                let carried = event.decode::<OrderCancelled>().expect("it was read").order.expect("it was there");
                assert_eq!(carried.payment_status(), PaymentStatus::Refunded);
                assert_eq!(carried.total, Some(amount.into()));
            }
        }
        written_again_it_is_the_same(event_type, payload);
    });
}

/// Fields that are not known here are left out, and what is known is not changed by that.
fn written_again_it_is_the_same(event_type: &str, payload: &[u8]) {
    fn of<P: Message + Default + PartialEq + Debug>(payload: &[u8]) {
        let message = P::decode(payload).expect("it was read");
        assert_eq!(P::decode(message.encode_to_vec().as_slice()).as_ref(), Ok(&message));
    }
    match event_type {
        // the same fields as every letter of an order, and of a shipment
        OrderCompleted::TYPE => of::<OrderCompleted>(payload),
        ShipmentCreated::TYPE => of::<ShipmentCreated>(payload),
        ReservationHeld::TYPE => of::<ReservationHeld>(payload),
        ReservationRefused::TYPE => of::<ReservationRefused>(payload),
        PaymentCaptured::TYPE => of::<PaymentCaptured>(payload),
        PaymentDeclined::TYPE => of::<PaymentDeclined>(payload),
        _ => {}
    }
}

fn examples() -> Vec<Vec<u8>> {
    let money = || Some(MoneyMessage { amount_minor: 1250, currency: "EUR".to_owned() });
    let line = PricedLine { sku: "mug".to_owned(), quantity: 2, unit_price: money(), line_total: money() };
    let order = Some(Order {
        order_id: ORDER.to_owned(),
        customer_id: "01936b1e-7c5a-7cc2-a3f1-0242ac120003".to_owned(),
        status: OrderStatus::Completed.into(),
        lines: vec![line],
        total: money(),
        placed_by: PlacedBy::Letter.into(),
        payment_status: PaymentStatus::Refunded.into(),
        version: 7,
        created_at: Some(timestamp_to_proto("2026-11-21T09:00:00Z".parse().expect("a time"))),
        ..Order::default()
    });
    let shipment = Some(Shipment { order_id: ORDER.to_owned(), status: 2, ..Shipment::default() });
    let reserved = Some(Reserved::default());
    let payloads = TYPES.iter().map(|&event_type| match event_type {
        OrderCreated::TYPE => OrderCreated { order: order.clone() }.encode_to_vec(),
        ReservationHeld::TYPE => {
            ReservationHeld { order_id: ORDER.to_owned(), reserved: reserved.clone() }.encode_to_vec()
        }
        ReservationRefused::TYPE => {
            ReservationRefused { order_id: ORDER.to_owned(), ..ReservationRefused::default() }.encode_to_vec()
        }
        PaymentCaptured::TYPE => {
            PaymentCaptured { order_id: ORDER.to_owned(), reserved: reserved.clone(), ..PaymentCaptured::default() }
                .encode_to_vec()
        }
        PaymentDeclined::TYPE => {
            PaymentDeclined { order_id: ORDER.to_owned(), ..PaymentDeclined::default() }.encode_to_vec()
        }
        one if one.starts_with("shipment.") => ShipmentCreated { shipment: shipment.clone() }.encode_to_vec(),
        // every letter of an order has it in the same field
        _ => OrderCompleted { order: order.clone() }.encode_to_vec(),
    });
    (0..).zip(payloads).map(|(number, payload)| [vec![number], payload].concat()).collect()
}
