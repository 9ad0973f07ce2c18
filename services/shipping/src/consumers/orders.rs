//! `orders.order.v1`: a completed order gets a shipment.

use consumer::{EventHandler, HandlerError, Kind};
use contracts::{
    event::{Event, Payload},
    events::v1::OrderCompleted,
    ids::{AccountId, OrderId},
};
use sqlx::PgConnection;

use super::GROUP;
use crate::{ShippingError, store::questions};

/// Notes for each completed order the question whether its customer has an address; the answer makes the shipment. An order
/// has one question or one shipment, which is the natural key: a letter that comes again changes nothing, and a replay
/// makes what is missing.
#[derive(Debug)]
pub struct NoteCompleted;

impl EventHandler for NoteCompleted {
    const GROUP: &'static str = GROUP;
    const KIND: Kind = Kind::Effect;

    fn wants(&self, event_type: &str) -> bool {
        event_type == OrderCompleted::TYPE
    }

    async fn handle(&self, conn: &mut PgConnection, event: &Event) -> Result<(), HandlerError> {
        let (order, customer) = completed_order(event)?;
        Ok(questions::insert_in_tx(conn, order, customer, event.traceparent.as_deref()).await?)
    }
}

/// The order that the letter is about, and whose it is. What the letter carries must be that order, else something is wrong
/// with it.
fn completed_order(event: &Event) -> Result<(OrderId, AccountId), HandlerError> {
    let order =
        event.decode::<OrderCompleted>()?.order.ok_or_else(|| HandlerError::reject("the letter has no order"))?;
    if order.order_id != event.subject {
        return Err(HandlerError::reject(format!("the letter of {} has order {}", event.subject, order.order_id)));
    }
    let id = event.subject.parse().map_err(ShippingError::InvalidOrder)?;
    Ok((id, order.customer_id.parse().map_err(ShippingError::InvalidCustomer)?))
}
