//! `shipping.shipment.v1`: where the parcel is.

use consumer::{Delivered, EventHandler, HandlerError, Kind};
use contracts::{
    event::{Event, Payload},
    events::v1::{ShipmentCreated, ShipmentDelivered, ShipmentDispatched},
    shipping::v1::{Shipment, ShipmentStatus},
};
use sqlx::PgConnection;
use tracing::warn;

use crate::{
    consumers::{GROUP, customer, order_of, write, write_all},
    message::NewMessage,
    text::{self, Text},
};

/// Writes a message for each letter that a parcel has no address, is dispatched or is delivered. The letter's id is the
/// natural key.
#[derive(Debug)]
pub struct TellOfShipment;

impl EventHandler for TellOfShipment {
    const GROUP: &'static str = GROUP;
    const KIND: Kind = Kind::Effect;

    fn wants(&self, event_type: &str) -> bool {
        [ShipmentCreated::TYPE, ShipmentDispatched::TYPE, ShipmentDelivered::TYPE].contains(&event_type)
    }

    async fn handle(&self, conn: &mut PgConnection, event: &Event) -> Result<(), HandlerError> {
        write(conn, event, tell).await
    }

    async fn handle_all(&self, conn: &mut PgConnection, letters: &[Delivered]) -> Result<(), HandlerError> {
        write_all(conn, letters, tell).await
    }
}

fn tell(event: &Event) -> Result<Option<NewMessage>, HandlerError> {
    let (shipment, text) = read(event)?;
    let shipment = shipment.ok_or_else(|| HandlerError::reject("the letter has no shipment"))?;
    let order = order_of(event, &shipment.order_id)?;
    let Some(text) = text(&shipment) else { return Ok(None) };
    // the field came later than the topic, and readers must take its absence: to refuse those letters would hold up
    // every order that was under way when it came
    if shipment.customer_id.is_empty() {
        warn!(order.id = %order, event_type = event.event_type, "the shipment names no customer, nobody is told");
        return Ok(None);
    }
    Ok(Some(NewMessage {
        id: event.id,
        customer: customer(&shipment.customer_id)?,
        order,
        event_type: event.event_type.clone(),
        text,
        traceparent: event.traceparent.clone(),
    }))
}

type InWords = fn(&Shipment) -> Option<Text>;

/// The shipment that the letter carries, and what puts the news into words, if it is any.
fn read(event: &Event) -> Result<(Option<Shipment>, InWords), HandlerError> {
    Ok(match event.event_type.as_str() {
        ShipmentCreated::TYPE => (event.decode::<ShipmentCreated>()?.shipment, |shipment| {
            (shipment.status() == ShipmentStatus::AwaitingAddress).then(text::address_wanted)
        }),
        ShipmentDispatched::TYPE => {
            (event.decode::<ShipmentDispatched>()?.shipment, |shipment| Some(text::shipment_dispatched(shipment)))
        }
        _ => (event.decode::<ShipmentDelivered>()?.shipment, |_| Some(text::shipment_delivered())),
    })
}
