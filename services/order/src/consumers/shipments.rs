//! `shipping.shipment.v1`: where the parcel is becomes part of the order, and a letter of its own.

use consumer::{EventHandler, HandlerError, Kind};
use contracts::{
    event::{Event, Payload},
    events::v1::{ShipmentCreated, ShipmentDelivered, ShipmentDispatched},
    ids::OrderId,
    shipping::v1::Shipment as ShipmentMessage,
    topics::ORDERS,
};
use sqlx::PgConnection;

use crate::{Deps, error::OrderError, events, order::Shipment, store};

/// Keeps an order's view of its parcel up to date.
#[derive(Debug)]
pub struct TrackShipment {
    deps: Deps,
}

impl TrackShipment {
    /// A handler that writes its letters with `deps`.
    pub const fn new(deps: Deps) -> Self {
        Self { deps }
    }
}

impl EventHandler for TrackShipment {
    const GROUP: &'static str = "order.track-shipment";
    const KIND: Kind = Kind::Effect;

    fn wants(event_type: &str) -> bool {
        [ShipmentCreated::TYPE, ShipmentDispatched::TYPE, ShipmentDelivered::TYPE].contains(&event_type)
    }

    async fn handle(&self, conn: &mut PgConnection, event: &Event) -> Result<(), HandlerError> {
        let id: OrderId = event.subject.parse().map_err(HandlerError::reject)?;
        let shipment = shipment(event)?;
        let order = store::lock_in_tx(conn, id).await.map_err(decide)?;
        let order = order.ok_or_else(|| HandlerError::reject(OrderError::NotFound(id)))?;
        // the shipment's own version is the natural key: a repeated or older letter changes nothing
        let Some(mut order) = order.shipment_moved(shipment) else { return Ok(()) };
        order.version += 1;
        order.updated_at = self.deps.clock.now();
        store::update_in_tx(conn, &order, None).await.map_err(decide)?;
        outbox::append_in_tx(conn, ORDERS, &events::shipment_updated(&order)).await.map_err(OrderError::from).map_err(decide)
    }
}

fn shipment(event: &Event) -> Result<Shipment, HandlerError> {
    let message = match event.event_type.as_str() {
        ShipmentCreated::TYPE => event.decode::<ShipmentCreated>().map(|payload| payload.shipment),
        ShipmentDispatched::TYPE => event.decode::<ShipmentDispatched>().map(|payload| payload.shipment),
        _ => event.decode::<ShipmentDelivered>().map(|payload| payload.shipment),
    };
    let message: Option<ShipmentMessage> = message.map_err(HandlerError::reject)?;
    let message = message.ok_or_else(|| HandlerError::reject(OrderError::invalid("shipment", "the letter has none")))?;
    Ok(Shipment {
        status: contracts::order::v1::ShipmentStatus::try_from(message.status)
            .map_err(|error| HandlerError::reject(OrderError::invalid("status", error.to_string())))?,
        version: event.sequence,
        tracking_number: message.tracking_number,
    })
}

/// An outage is tried again for ever; a row that cannot be read needs somebody to look.
fn decide(error: OrderError) -> HandlerError {
    match error.code() {
        contracts::problem::ProblemCode::Unavailable => HandlerError::retry(error),
        _ => HandlerError::reject(error),
    }
}
