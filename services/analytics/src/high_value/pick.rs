//! Which letters of order are picked, and what is written then. No I/O.

use consumer::HandlerError;
use contracts::{
    event::{Event, Payload},
    events::v1::{HighValueOrderCompleted, OrderCompleted},
    ids::{AccountId, InvalidId, OrderId},
    topics::HIGH_VALUE_ORDERS,
};
use uuid::Uuid;

use crate::{
    high_value::Threshold,
    letter::{order_of, total, wrong},
};

/// The letter that a letter of order becomes, if it is the completion of an order of high value. Made of the same letter it
/// is the same letter, id and time included.
///
/// Refuses a completion that is about another order than its envelope says, or does not say whose order it is and what it
/// cost. Of other letters only the type is looked at.
pub fn pick(event: &Event, threshold: &Threshold) -> Result<Option<Event>, HandlerError> {
    if event.event_type != OrderCompleted::TYPE {
        return Ok(None);
    }
    let id: OrderId = event.subject.parse().map_err(wrong::<InvalidId>("ce_subject"))?;
    let order = order_of(event, event.decode::<OrderCompleted>()?.order)?;
    let customer: AccountId = order.customer_id.parse().map_err(wrong::<InvalidId>("order.customer_id"))?;
    let total = total(&order)?;
    if !threshold.is_met_by(total) {
        return Ok(None);
    }
    let payload = HighValueOrderCompleted {
        order_id: id.to_string(),
        customer_id: customer.to_string(),
        total: Some(total.into()),
        order_version: event.sequence,
    };
    // there is one for each order, so it is the first
    let letter = Event::new(HIGH_VALUE_ORDERS, id.to_string(), 1, event.time, &payload);
    let id = Uuid::new_v5(&event.id, HIGH_VALUE_ORDERS.name().as_bytes());
    Ok(Some(Event { id, traceparent: event.traceparent.clone(), ..letter }))
}
