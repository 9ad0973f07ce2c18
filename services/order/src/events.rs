//! The only map from a change of an order to the letter that tells it.

use contracts::{
    event::Event,
    events::v1::{
        OrderCancelled, OrderCancelling, OrderCompleted, OrderCreated, OrderPaymentUpdated, OrderRejected,
        OrderShipmentUpdated,
    },
    order::v1::Order as OrderMessage,
    topics::ORDERS,
};
use service_runtime::telemetry;

use crate::{
    encode,
    order::Order,
    saga::{Reason, State},
};

/// The order was kept.
pub fn created(order: &Order) -> Event {
    event(order, &OrderCreated { order: Some(encode::order(order)) })
}

/// The saga went on, from `before` to the order's state.
pub fn advanced(before: State, order: &Order) -> Event {
    let message = Some(encode::order(order));
    match order.state {
        // it was completed before and stays so, because the parcel has left
        State::Completed if before == State::Stopping => event(order, &OrderShipmentUpdated { order: message }),
        State::Completed => event(order, &OrderCompleted { order: message }),
        State::Voiding(Reason::CustomerRequest) | State::Stopping => event(order, &OrderCancelling { order: message }),
        // the parcel was given up by itself, which begins the cancel
        State::Refunding if before == State::Completed => event(order, &OrderCancelling { order: message }),
        // the order is as pending as before; what the outside sees is the payment
        State::AwaitingStock | State::AwaitingPayment | State::Voiding(_) | State::Releasing(_) => {
            event(order, &OrderPaymentUpdated { order: message })
        }
        // still cancelling; what the outside sees is the parcel
        State::Refunding => event(order, &OrderShipmentUpdated { order: message }),
        State::GivenUp(Reason::CustomerRequest) | State::Refunded => event(order, &OrderCancelled { order: message }),
        State::GivenUp(_) => event(order, &OrderRejected { order: message }),
    }
}

/// The parcel moved.
pub fn shipment_updated(order: &Order) -> Event {
    event(order, &OrderShipmentUpdated { order: Some(encode::order(order)) })
}

/// The order as a letter of ours tells it; `None` when it cannot be read.
pub fn order_in(letter: &Event) -> Option<OrderMessage> {
    // every payload of ours has the order in the same field, so any of them reads all
    letter.decode::<OrderCreated>().ok()?.order
}

fn event<P: contracts::event::Payload>(order: &Order, payload: &P) -> Event {
    let mut event = Event::new(ORDERS, order.id.to_string(), order.version, order.updated_at, payload);
    event.traceparent = telemetry::traceparent();
    event
}
