//! `orders.order.v1`: a completed order gets a shipment.

use consumer::{Delivered, EventHandler, HandlerError, Kind};
use contracts::{
    event::{Event, Payload},
    events::v1::OrderCompleted,
    ids::AccountId,
};
use sqlx::PgConnection;

use super::GROUP;
use crate::{
    ShippingError,
    store::questions::{self, NewQuestion},
};

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
        Ok(questions::insert_in_tx(conn, &[question(event)?]).await?)
    }

    async fn handle_all(&self, conn: &mut PgConnection, letters: &[Delivered]) -> Result<(), HandlerError> {
        let asked = letters.iter().map(|letter| question(&letter.event)).collect::<Result<Vec<_>, _>>()?;
        Ok(questions::insert_in_tx(conn, &asked).await?)
    }
}

/// What the completed order that the letter is about makes us ask. What the letter carries must be that order, else something
/// is wrong with it.
fn question(event: &Event) -> Result<NewQuestion<'_>, HandlerError> {
    let completed =
        event.decode::<OrderCompleted>()?.order.ok_or_else(|| HandlerError::reject("the letter has no order"))?;
    if completed.order_id != event.subject {
        return Err(HandlerError::reject(format!("the letter of {} has order {}", event.subject, completed.order_id)));
    }
    let order = event.subject.parse().map_err(ShippingError::InvalidOrder)?;
    let customer: AccountId = completed.customer_id.parse().map_err(ShippingError::InvalidCustomer)?;
    Ok(NewQuestion { order, customer, traceparent: event.traceparent.as_deref() })
}
