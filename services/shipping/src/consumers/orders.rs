//! `orders.order.v1`: a completed order gets a shipment.

use std::time::Duration;

use consumer::{EventHandler, HandlerError, Kind};
use contracts::{
    event::{Event, Payload},
    events::v1::OrderCompleted,
    ids::{OrderId, ShipmentId},
    topics::SHIPMENTS,
};
use sqlx::PgConnection;
use tracing::info;

use crate::{ShippingError, events, store};

/// Makes one shipment for each completed order. That the order has none yet is the natural key: a letter that comes again
/// changes nothing, and a replay makes what is missing.
#[derive(Debug)]
pub struct CreateShipment {
    /// How long a parcel is prepared.
    pub dispatch_after: Duration,
}

impl EventHandler for CreateShipment {
    const GROUP: &'static str = "shipping.create-shipment";
    const KIND: Kind = Kind::Effect;

    fn wants(&self, event_type: &str) -> bool {
        event_type == OrderCompleted::TYPE
    }

    async fn handle(&self, conn: &mut PgConnection, event: &Event) -> Result<(), HandlerError> {
        let order = completed_order(event)?;
        let made = store::insert_in_tx(conn, ShipmentId::new(), order, self.dispatch_after).await?;
        if let Some(shipment) = made {
            let letter = events::letter(&shipment);
            outbox::append_in_tx(conn, SHIPMENTS, &letter).await.map_err(ShippingError::from)?;
            info!(order.id = %order, "preparing a shipment");
        }
        Ok(())
    }
}

/// The order that the letter is about. What the letter carries must be that order, else something is wrong with it.
fn completed_order(event: &Event) -> Result<OrderId, HandlerError> {
    let order =
        event.decode::<OrderCompleted>()?.order.ok_or_else(|| HandlerError::reject("the letter has no order"))?;
    if order.order_id != event.subject {
        return Err(HandlerError::reject(format!("the letter of {} has order {}", event.subject, order.order_id)));
    }
    Ok(event.subject.parse().map_err(ShippingError::from)?)
}
