//! `shipping.shipment.v1`: where the parcel is becomes part of the order, and a letter of its own.

use consumer::{EventHandler, HandlerError, Kind};
use contracts::{
    event::{Event, Payload},
    events::v1::{ShipmentCreated, ShipmentDelivered, ShipmentDispatched},
    ids::OrderId,
    order::v1::ShipmentStatus,
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
    /// A handler that works with `deps`.
    pub const fn new(deps: Deps) -> Self {
        Self { deps }
    }
}

impl EventHandler for TrackShipment {
    const GROUP: &'static str = "order.track-shipment";
    const KIND: Kind = Kind::Effect;

    fn wants(&self, event_type: &str) -> bool {
        [ShipmentCreated::TYPE, ShipmentDispatched::TYPE, ShipmentDelivered::TYPE].contains(&event_type)
    }

    async fn handle(&self, conn: &mut PgConnection, event: &Event) -> Result<(), HandlerError> {
        let id: OrderId =
            event.subject.parse().map_err(|_| HandlerError::reject("the subject of a shipment is its order's id"))?;
        let shipment = shipment(event)?;
        let order = store::lock_in_tx(conn, id).await?.ok_or(OrderError::NotFound(id))?;
        // the shipment's own version is the natural key: a repeated or older letter changes nothing
        let Some(mut order) = order.shipment_moved(shipment) else { return Ok(()) };
        order.version += 1;
        order.updated_at = self.deps.clock.now();
        if !store::update_in_tx(conn, &order, None).await? {
            return Err(HandlerError::reject("the order changed although its row is locked"));
        }
        outbox::append_in_tx(conn, ORDERS, &events::shipment_updated(&order)).await.map_err(OrderError::from)?;
        Ok(())
    }
}

fn shipment(event: &Event) -> Result<Shipment, HandlerError> {
    let message = match event.event_type.as_str() {
        ShipmentCreated::TYPE => event.decode::<ShipmentCreated>()?.shipment,
        ShipmentDispatched::TYPE => event.decode::<ShipmentDispatched>()?.shipment,
        _ => event.decode::<ShipmentDelivered>()?.shipment,
    };
    let message = message.ok_or_else(|| HandlerError::reject("the letter has no shipment"))?;
    // the two services name the same statuses, each in its own package
    let status = ShipmentStatus::try_from(message.status).unwrap_or_default();
    if status == ShipmentStatus::Unspecified {
        return Err(HandlerError::reject(format!("{} is no status of a shipment", message.status)));
    }
    Ok(Shipment { status, tracking_number: message.tracking_number, version: event.sequence })
}

/// What the database says is judged as for every handler: an outage is tried again for ever, data that break a rule are the
/// letter's fault. Anything else needs somebody to look.
impl From<OrderError> for HandlerError {
    fn from(error: OrderError) -> Self {
        match error {
            OrderError::Database(error) | OrderError::Outbox(outbox::Error::Database(error)) => error.into(),
            other => Self::Reject(other.into()),
        }
    }
}
