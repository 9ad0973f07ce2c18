//! The only map from a change of a shipment to the letter that tells it.

use contracts::{
    event::{Event, Payload},
    events::v1::{ShipmentCancelled, ShipmentCreated, ShipmentDelivered, ShipmentDispatched, ShipmentPrepared},
    topics::SHIPMENTS,
};

use crate::shipment::{Shipment, Status};

/// The letter about the shipment as it now stands; each version has one. `traceparent` is the trace of the change.
pub(crate) fn letter(shipment: &Shipment, traceparent: Option<&str>) -> Event {
    let message = Some(shipment.into());
    let mut event = match shipment.status {
        Status::AwaitingAddress => event(shipment, &ShipmentCreated { shipment: message }),
        Status::Preparing if shipment.version == 1 => event(shipment, &ShipmentCreated { shipment: message }),
        Status::Preparing => event(shipment, &ShipmentPrepared { shipment: message }),
        Status::Dispatched => event(shipment, &ShipmentDispatched { shipment: message }),
        Status::Delivered => event(shipment, &ShipmentDelivered { shipment: message }),
        Status::Cancelled => event(shipment, &ShipmentCancelled { shipment: message }),
    };
    event.traceparent = traceparent.map(str::to_owned);
    event
}

fn event<P: Payload>(shipment: &Shipment, payload: &P) -> Event {
    Event::new(SHIPMENTS, shipment.order.to_string(), shipment.version, shipment.updated_at, payload)
}
