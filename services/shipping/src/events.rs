//! The only map from a change of a shipment to the letter that tells it.

use contracts::{
    event::{Event, Payload},
    events::v1::{ShipmentCreated, ShipmentDelivered, ShipmentDispatched},
    topics::SHIPMENTS,
};
use service_runtime::telemetry;

use crate::shipment::{Shipment, Status};

/// The letter about the shipment as it now stands; each version has one.
pub(crate) fn letter(shipment: &Shipment) -> Event {
    let message = Some(shipment.into());
    match shipment.status {
        Status::Preparing => event(shipment, &ShipmentCreated { shipment: message }),
        Status::Dispatched => event(shipment, &ShipmentDispatched { shipment: message }),
        Status::Delivered => event(shipment, &ShipmentDelivered { shipment: message }),
    }
}

fn event<P: Payload>(shipment: &Shipment, payload: &P) -> Event {
    let mut event = Event::new(SHIPMENTS, shipment.order.to_string(), shipment.version, shipment.updated_at, payload);
    event.traceparent = telemetry::traceparent();
    event
}
