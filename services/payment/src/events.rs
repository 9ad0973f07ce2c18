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
    let reserved = Some(reserved);
    match payment.state {
        State::Captured => {
            let captured = Some(encode::captured(payment));
            Some(event(payment, now, &PaymentCaptured { order_id, captured, reserved }))
        }
        State::Declined => {
            let refusal = Some(Refusal::Declined(encode::declined(payment)));
            Some(event(payment, now, &PaymentDeclined { order_id, refusal, reserved }))
        }
        State::UnknownCard => {
            let refusal = Some(Refusal::UnknownCard(UnknownCard {}));
            Some(event(payment, now, &PaymentDeclined { order_id, refusal, reserved }))
        }
        State::Unasked | State::Attempting | State::Voiding | State::Voided | State::Refunding | State::Refunded => {
            None
        }
    }
}

fn event<P: Payload>(payment: &Payment, now: Timestamp, payload: &P) -> Event {
    let mut event = Event::new(PAYMENTS, payment.order_id.to_string(), 1, now, payload);
    event.traceparent = telemetry::traceparent();
    event
}
