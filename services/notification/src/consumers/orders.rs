//! `orders.order.v1`: how an order ended.

use consumer::{Delivered, EventHandler, HandlerError, Kind};
use contracts::{
    event::{Event, Payload},
    events::v1::{OrderCancelled, OrderCompleted, OrderRejected},
    money::InvalidMoney,
    order::v1::Order,
};
use sqlx::PgConnection;

use crate::{
    consumers::{GROUP, customer, order_of, write, write_all},
    message::NewMessage,
    text::{self, Text},
};

/// Writes a message for each letter that an order is completed, rejected or cancelled. The letter's id is the natural key.
#[derive(Debug)]
pub struct TellOfOrder;

impl EventHandler for TellOfOrder {
    const GROUP: &'static str = GROUP;
    const KIND: Kind = Kind::Effect;

    fn wants(&self, event_type: &str) -> bool {
        [OrderCompleted::TYPE, OrderRejected::TYPE, OrderCancelled::TYPE].contains(&event_type)
    }

    async fn handle(&self, conn: &mut PgConnection, event: &Event) -> Result<(), HandlerError> {
        write(conn, event, tell).await
    }

    async fn handle_all(&self, conn: &mut PgConnection, letters: &[Delivered]) -> Result<(), HandlerError> {
        write_all(conn, letters, tell).await
    }
}

fn tell(event: &Event) -> Result<Option<NewMessage>, HandlerError> {
    let (order, text) = read(event)?;
    let order = order.ok_or_else(|| HandlerError::reject("the letter has no order"))?;
    Ok(Some(NewMessage {
        id: event.id,
        customer: customer(&order.customer_id)?,
        order: order_of(event, &order.order_id)?,
        event_type: event.event_type.clone(),
        text: text(&order).map_err(|error| HandlerError::reject(format!("a price of the order: {error}")))?,
        traceparent: event.traceparent.clone(),
    }))
}

type InWords = fn(&Order) -> Result<Text, InvalidMoney>;

/// The order that the letter carries, and what puts the news into words.
fn read(event: &Event) -> Result<(Option<Order>, InWords), HandlerError> {
    Ok(match event.event_type.as_str() {
        OrderCompleted::TYPE => (event.decode::<OrderCompleted>()?.order, text::order_completed),
        OrderRejected::TYPE => (event.decode::<OrderRejected>()?.order, |order| Ok(text::order_rejected(order))),
        _ => (event.decode::<OrderCancelled>()?.order, text::order_cancelled),
    })
}
