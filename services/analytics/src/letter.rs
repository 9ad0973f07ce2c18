//! What a letter says: whom it is about, what it counts for, what the timeline tells of it. No I/O.

use std::fmt::Display;

use consumer::HandlerError;
use contracts::{
    event::{Event, Payload},
    events::v1::{
        OrderCancelled, OrderCancelling, OrderCompleted, OrderCreated, OrderPaymentUpdated, OrderRejected,
        OrderShipmentUpdated, PaymentCaptured, PaymentDeclined, ReservationHeld, ReservationRefused, ShipmentCancelled,
        ShipmentCreated, ShipmentDelivered, ShipmentDispatched, ShipmentPrepared,
    },
    ids::{InvalidId, OrderId, Quantity, Sku},
    money::Money,
    order::v1::{Order, PaymentStatus, PricedLine},
    shipping::v1::Shipment,
};

use crate::letter_json::Data;

/// A letter that makes sense.
#[derive(Debug)]
pub struct Letter {
    /// The order that it is about.
    pub order: OrderId,
    /// What it said, as JSON.
    pub data_json: String,
    /// What it counts for; most letters only belong into the timeline.
    pub figure: Option<Figure>,
}

/// What is counted, in the window of the letter's time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Figure {
    /// An order was completed.
    Sold {
        /// What the customer pays.
        total: Money,
        /// What was bought.
        lines: Vec<SoldLine>,
    },
    /// A completed order was cancelled, and this much was given back.
    GivenBack(Money),
}

/// One line of a completed order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoldLine {
    /// What was bought.
    pub sku: Sku,
    /// How many pieces.
    pub quantity: Quantity,
    /// What they were sold for together.
    pub revenue: Money,
}

impl Letter {
    /// Reads a letter of any of the topics; all are keyed by the order's id. Of a type that is not known (yet) only the
    /// envelope is read.
    ///
    /// Refuses a payload that is not what its type says or belongs to another order, and one that must be counted but
    /// does not say how much.
    pub fn read(event: &Event) -> Result<Self, HandlerError> {
        let order = event.subject.parse().map_err(wrong::<InvalidId>("ce_subject"))?;
        let mut figure = None;
        let data = match event.event_type.as_str() {
            OrderCreated::TYPE => order_of(event, event.decode::<OrderCreated>()?.order)?.into(),
            OrderCompleted::TYPE => {
                let order = order_of(event, event.decode::<OrderCompleted>()?.order)?;
                figure = Some(sold(&order)?);
                order.into()
            }
            OrderRejected::TYPE => order_of(event, event.decode::<OrderRejected>()?.order)?.into(),
            OrderCancelling::TYPE => order_of(event, event.decode::<OrderCancelling>()?.order)?.into(),
            OrderCancelled::TYPE => {
                let order = order_of(event, event.decode::<OrderCancelled>()?.order)?;
                figure = given_back(&order)?;
                order.into()
            }
            OrderPaymentUpdated::TYPE => order_of(event, event.decode::<OrderPaymentUpdated>()?.order)?.into(),
            OrderShipmentUpdated::TYPE => order_of(event, event.decode::<OrderShipmentUpdated>()?.order)?.into(),
            ReservationHeld::TYPE => {
                let held: ReservationHeld = event.decode()?;
                same_order(event, &held.order_id)?;
                held.into()
            }
            ReservationRefused::TYPE => {
                let refused: ReservationRefused = event.decode()?;
                same_order(event, &refused.order_id)?;
                refused.into()
            }
            PaymentCaptured::TYPE => {
                let captured: PaymentCaptured = event.decode()?;
                same_order(event, &captured.order_id)?;
                captured.into()
            }
            PaymentDeclined::TYPE => {
                let declined: PaymentDeclined = event.decode()?;
                same_order(event, &declined.order_id)?;
                declined.into()
            }
            ShipmentCreated::TYPE => shipment_of(event, event.decode::<ShipmentCreated>()?.shipment)?.into(),
            ShipmentPrepared::TYPE => shipment_of(event, event.decode::<ShipmentPrepared>()?.shipment)?.into(),
            ShipmentDispatched::TYPE => shipment_of(event, event.decode::<ShipmentDispatched>()?.shipment)?.into(),
            ShipmentDelivered::TYPE => shipment_of(event, event.decode::<ShipmentDelivered>()?.shipment)?.into(),
            ShipmentCancelled::TYPE => shipment_of(event, event.decode::<ShipmentCancelled>()?.shipment)?.into(),
            _ => Data::Unknown {},
        };
        Ok(Self { order, data_json: data.to_json(), figure })
    }
}

pub(crate) fn order_of(event: &Event, order: Option<Order>) -> Result<Order, HandlerError> {
    let order = order.ok_or_else(|| HandlerError::reject("the letter has no order"))?;
    same_order(event, &order.order_id)?;
    Ok(order)
}

fn shipment_of(event: &Event, shipment: Option<Shipment>) -> Result<Shipment, HandlerError> {
    let shipment = shipment.ok_or_else(|| HandlerError::reject("the letter has no shipment"))?;
    same_order(event, &shipment.order_id)?;
    Ok(shipment)
}

/// What the letter carries must be about the order that its envelope names, else something is wrong with it.
fn same_order(event: &Event, order_id: &str) -> Result<(), HandlerError> {
    if order_id == event.subject {
        return Ok(());
    }
    Err(HandlerError::reject(format!("the letter of {} is about order {order_id}", event.subject)))
}

fn sold(order: &Order) -> Result<Figure, HandlerError> {
    let lines = order.lines.iter().map(sold_line).collect::<Result<_, _>>()?;
    Ok(Figure::Sold { total: total(order)?, lines })
}

fn sold_line(line: &PricedLine) -> Result<SoldLine, HandlerError> {
    let sku: Sku = line.sku.parse().map_err(wrong("lines.sku"))?;
    let quantity = Quantity::try_from(line.quantity).map_err(wrong(format!("the line of {sku}")))?;
    let revenue = Money::try_from(line.line_total.clone()).map_err(wrong(format!("the line of {sku}")))?;
    Ok(SoldLine { sku, quantity, revenue })
}

/// Money is given back for an order that had been completed. One that was cancelled before that was never sold, so there
/// is nothing to count.
fn given_back(order: &Order) -> Result<Option<Figure>, HandlerError> {
    if order.payment_status() != PaymentStatus::Refunded {
        return Ok(None);
    }
    Ok(Some(Figure::GivenBack(total(order)?)))
}

pub(crate) fn total(order: &Order) -> Result<Money, HandlerError> {
    Money::try_from(order.total.clone()).map_err(wrong("order.total"))
}

/// For `map_err`: refuses the letter for what stands in this place.
pub(crate) fn wrong<E: Display>(place: impl Display) -> impl FnOnce(E) -> HandlerError {
    move |error| HandlerError::reject(format!("{place}: {error}"))
}

#[cfg(test)]
mod fuzz;
