//! The changes of shipments, each with the letter that tells it, in one transaction.

use std::time::Duration;

use contracts::{event::Event, ids::OrderId, topics::SHIPMENTS};
use sqlx::PgConnection;

use crate::{
    ShippingError, events,
    shipment::{Fact, NewShipment, Shipment, Step, next},
    store::shipments,
};

/// Makes a shipment. `None` when its order has one.
pub(crate) async fn create_in_tx(
    conn: &mut PgConnection,
    new: &NewShipment<'_>,
    dispatch_after: Duration,
) -> Result<Option<Shipment>, ShippingError> {
    Ok(create_all_in_tx(conn, std::slice::from_ref(new), dispatch_after).await?.pop())
}

/// Makes shipments of orders, and gives them. One whose order has one is left out.
pub(crate) async fn create_all_in_tx(
    conn: &mut PgConnection,
    new: &[NewShipment<'_>],
    dispatch_after: Duration,
) -> Result<Vec<Shipment>, ShippingError> {
    let made = shipments::insert_in_tx(conn, new, dispatch_after).await?;
    if !made.is_empty() {
        let letter = |made: &Shipment| events::letter(made, made.traceparent.as_deref());
        let letters: Vec<Event> = made.iter().map(letter).collect();
        outbox::append_many_in_tx(conn, SHIPMENTS, &letters).await?;
    }
    Ok(made)
}

/// Tells the shipment of an order `fact`, and gives what followed and the shipment as it then stands. `None` when there is
/// none. The row stays locked until the transaction ends: whoever else has a fact waits, and then sees what became of it.
pub(crate) async fn tell_in_tx(
    conn: &mut PgConnection,
    order: OrderId,
    fact: Fact,
    dispatch_after: Duration,
    traceparent: Option<&str>,
) -> Result<Option<(Step, Shipment)>, ShippingError> {
    let Some(seen) = shipments::lock_in_tx(conn, order).await? else { return Ok(None) };
    let step = next(seen.status, fact);
    let shipment = match step {
        Step::Stay | Step::Refuse => seen,
        Step::MoveTo(_) => {
            let moved = advance_in_tx(conn, &[seen], fact, dispatch_after, traceparent).await?.pop();
            // nobody else changes a row that is locked
            moved.ok_or(sqlx::Error::RowNotFound)?
        }
    };
    Ok(Some((step, shipment)))
}

/// Tells each of the shipments `fact`, and gives those that moved, as they now stand. One that has changed since it was
/// seen, or that stays where it is, is left out. Without a trace of its own the change belongs to that of the shipment.
pub(crate) async fn advance_in_tx(
    conn: &mut PgConnection,
    seen: &[Shipment],
    fact: Fact,
    dispatch_after: Duration,
    traceparent: Option<&str>,
) -> Result<Vec<Shipment>, ShippingError> {
    let mut steps = Vec::with_capacity(seen.len());
    for shipment in seen {
        match next(shipment.status, fact) {
            Step::MoveTo(to) => steps.push((shipment, to)),
            Step::Stay | Step::Refuse => {}
        }
    }
    let moved = shipments::move_in_tx(conn, &steps, dispatch_after).await?;
    let letter = |shipment: &Shipment| events::letter(shipment, traceparent.or(shipment.traceparent.as_deref()));
    let letters: Vec<Event> = moved.iter().map(letter).collect();
    outbox::append_many_in_tx(conn, SHIPMENTS, &letters).await?;
    Ok(moved)
}
