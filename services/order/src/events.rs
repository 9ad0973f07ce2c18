//! The only map from a change of an order to the letter that tells it.

use contracts::{
    event::Event,
    events::v1::{OrderCompleted, OrderCreated, OrderPaymentUpdated, OrderRejected, OrderShipmentUpdated},
    topics::ORDERS,
};
use service_runtime::telemetry;

use crate::{encode, order::Order, saga::State};

/// The order was kept.
pub fn created(order: &Order) -> Event {
    event(order, &OrderCreated { order: Some(encode::order(order)) })
}

/// The saga went on.
pub fn advanced(order: &Order) -> Event {
    let message = Some(encode::order(order));
    match order.state {
        State::Completed => event(order, &OrderCompleted { order: message }),
        State::Rejected(_) => event(order, &OrderRejected { order: message }),
        // the order is as pending as before; what the outside sees is the payment
        State::AwaitingStock | State::AwaitingPayment | State::Voiding(_) | State::Releasing(_) => {
            event(order, &OrderPaymentUpdated { order: message })
        }
    }
}

/// The parcel moved.
pub fn shipment_updated(order: &Order) -> Event {
    event(order, &OrderShipmentUpdated { order: Some(encode::order(order)) })
}

fn event<P: contracts::event::Payload>(order: &Order, payload: &P) -> Event {
    let mut event = Event::new(ORDERS, order.id.to_string(), order.version, order.updated_at, payload);
    event.traceparent = telemetry::traceparent();
    event
}
