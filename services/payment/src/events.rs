//! The only map from what became of a charge to the letter that tells it.

use contracts::{
    event::{Event, Payload},
    events::v1::{PaymentCaptured, PaymentDeclined, payment_declined::Refusal},
    inventory::v1::Reserved,
    payment::v1::UnknownCard,
    topics::PAYMENTS,
};
use jiff::Timestamp;
use service_runtime::telemetry;

use crate::{
    encode,
    payment::{Payment, State},
};

/// The letter with which an order that was placed by letter is answered. An order has at most one, so it is the first
/// of its sequence. A payment that is not settled has none; nor has one that the order itself had undone.
pub fn letter(payment: &Payment, reserved: Reserved, now: Timestamp) -> Option<Event> {
    let order_id = payment.order_id.to_string();
    let refused = |refusal| PaymentDeclined {
        order_id: order_id.clone(),
        refusal: Some(refusal),
        reserved: Some(reserved.clone()),
    };
    match payment.state {
        State::Captured => {
            let captured = Some(encode::captured(payment));
            let payload = PaymentCaptured { order_id: order_id.clone(), captured, reserved: Some(reserved) };
            Some(event(order_id, now, &payload))
        }
        State::Declined => {
            let payload = refused(Refusal::Declined(encode::declined(payment)));
            Some(event(order_id.clone(), now, &payload))
        }
        State::UnknownCard => {
            let payload = refused(Refusal::UnknownCard(UnknownCard {}));
            Some(event(order_id.clone(), now, &payload))
        }
        State::Unasked | State::Attempting => None,
        State::Voiding | State::Voided | State::Refunding | State::Refunded => None,
    }
}

fn event<P: Payload>(order_id: String, now: Timestamp, payload: &P) -> Event {
    let mut event = Event::new(PAYMENTS, order_id, 1, now, payload);
    event.traceparent = telemetry::traceparent();
    event
}
