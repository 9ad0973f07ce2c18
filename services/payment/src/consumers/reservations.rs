//! `inventory.reservation.v1`: an order by letter whose stock is held is to be charged.

use consumer::{EventHandler, HandlerError, Kind};
use contracts::{
    event::{Event, Payload},
    events::v1::ReservationHeld,
    ids::{OrderId, Quantity, Sku},
    inventory::v1::{Reserved, ReservedLine},
    money::Money,
};
use prost::Message;
use sqlx::PgConnection;

use crate::work;

/// Writes down each order whose stock is held, for the worker. That the order is not written down yet, and not done
/// with, is the natural key: a letter that comes again changes nothing.
#[derive(Debug)]
pub struct ChargeHeldOrders;

impl EventHandler for ChargeHeldOrders {
    const GROUP: &'static str = "payment.charge-held-orders";
    const KIND: Kind = Kind::Effect;

    fn wants(&self, event_type: &str) -> bool {
        event_type == ReservationHeld::TYPE
    }

    async fn handle(&self, conn: &mut PgConnection, event: &Event) -> Result<(), HandlerError> {
        let (order_id, reserved) = held_order(event)?;
        work::insert_in_tx(conn, order_id, &reserved.encode_to_vec(), event.traceparent.as_deref()).await?;
        Ok(())
    }
}

/// The order that the letter is about, and what is held for it. Who is charged for it, and told of it, must be able to
/// read it all.
fn held_order(event: &Event) -> Result<(OrderId, Reserved), HandlerError> {
    let held: ReservationHeld = event.decode()?;
    if held.order_id != event.subject {
        return Err(HandlerError::reject(format!("the letter of {} has order {}", event.subject, held.order_id)));
    }
    let order_id = held.order_id.parse().map_err(|error| HandlerError::reject(format!("order_id: {error}")))?;
    let reserved = held.reserved.ok_or_else(|| HandlerError::reject("the letter holds nothing"))?;
    if reserved.lines.is_empty() {
        return Err(HandlerError::reject("the letter holds no lines"));
    }
    for line in &reserved.lines {
        check(line).map_err(|reason| HandlerError::reject(format!("line {:?}: {reason}", line.sku)))?;
    }
    Money::try_from(reserved.total.clone()).map_err(|error| HandlerError::reject(format!("total: {error}")))?;
    Ok((order_id, reserved))
}

fn check(line: &ReservedLine) -> Result<(), String> {
    Sku::try_from(line.sku.clone()).map_err(|error| error.to_string())?;
    Quantity::try_from(line.quantity).map_err(|error| error.to_string())?;
    Money::try_from(line.unit_price.clone()).map_err(|error| format!("unit_price: {error}"))?;
    Money::try_from(line.line_total.clone()).map_err(|error| format!("line_total: {error}"))?;
    Ok(())
}
