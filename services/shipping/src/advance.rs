//! Carrying out what follows from a fact: the change and its letter, in one transaction.

use std::time::Duration;

use contracts::{event::Event, topics::SHIPMENTS};
use sqlx::PgConnection;

use crate::{
    ShippingError, events,
    shipment::{Fact, Shipment, Step, next},
    store,
};

/// Tells each of the shipments `fact`, and gives those that moved, as they now stand. One that has changed since it was
/// seen, or that stays where it is, is left out.
pub(crate) async fn advance_in_tx(
    conn: &mut PgConnection,
    seen: &[Shipment],
    fact: Fact,
    dispatch_after: Duration,
) -> Result<Vec<Shipment>, ShippingError> {
    let mut steps = Vec::with_capacity(seen.len());
    for shipment in seen {
        match next(shipment.status, fact) {
            Step::MoveTo(to) => steps.push((shipment, to)),
            Step::Stay => {}
        }
    }
    let moved = store::move_in_tx(conn, &steps, dispatch_after).await?;
    let letters: Vec<Event> = moved.iter().map(events::letter).collect();
    outbox::append_many_in_tx(conn, SHIPMENTS, &letters).await?;
    Ok(moved)
}
