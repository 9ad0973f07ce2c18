//! The only map from an answer to the letter that tells it. Only orders by letter get one: by telephone the caller has
//! its answer already.

use contracts::{
    event::{Event, Payload},
    events::v1::{ReservationHeld, ReservationRefused, reservation_refused},
    ids::OrderId,
    inventory::v1::MixedCurrencies,
    topics::RESERVATIONS,
};
use service_runtime::{clock::Clock, telemetry};

use crate::{
    encode,
    reservation::{PricedLine, Refusal},
};

/// All lines are held.
pub(crate) fn held(order: OrderId, lines: Vec<PricedLine>, clock: Clock) -> Event {
    letter(order, &ReservationHeld { order_id: order.to_string(), reserved: Some(encode::reserved(lines)) }, clock)
}

/// None is.
pub(crate) fn refused(order: OrderId, refusal: &Refusal, clock: Clock) -> Event {
    use reservation_refused::Refusal as Told;
    let refusal = match refusal {
        Refusal::OutOfStock(skus) => Told::OutOfStock(encode::out_of_stock(skus)),
        Refusal::UnknownSku(skus) => Told::UnknownSku(encode::unknown_sku(skus)),
        Refusal::MixedCurrencies => Told::MixedCurrencies(MixedCurrencies {}),
    };
    letter(order, &ReservationRefused { order_id: order.to_string(), refusal: Some(refusal) }, clock)
}

/// An order is answered once, so its only letter is the first.
fn letter<P: Payload>(order: OrderId, payload: &P, clock: Clock) -> Event {
    let mut event = Event::new(RESERVATIONS, order.to_string(), 1, clock.now(), payload);
    event.traceparent = telemetry::traceparent();
    event
}
