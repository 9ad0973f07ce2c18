//! Stopping a parcel before it leaves.

use contracts::ids::{AccountId, OrderId, ShipmentId};
use service_runtime::{kill_point, telemetry};
use tracing::info;

use crate::{
    Deps, ShippingError,
    changes::{create_in_tx, tell_in_tx},
    shipment::{Fact, NewShipment, Shipment, Status, Step},
    store::questions,
};

/// What became of a parcel that somebody wanted to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stopped {
    /// CANCELLED: it never leaves. The same when it was stopped before.
    InTime(Shipment),
    /// DISPATCHED or DELIVERED.
    TooLate(Shipment),
}

/// Stops the parcel of an order. Where there is none yet, a cancelled one is made, which is in the way of any that comes
/// later.
pub async fn stop(deps: &Deps, order: OrderId, customer: AccountId) -> Result<Stopped, ShippingError> {
    let trace = telemetry::traceparent();
    let mut tx = deps.pool.begin().await?;
    // whether there is an address matters no more
    questions::delete_in_tx(&mut tx, order).await?;
    let traceparent = trace.as_deref();
    let tombstone = NewShipment { id: ShipmentId::new(), order, customer, status: Status::Cancelled, traceparent };
    let (step, shipment) = match create_in_tx(&mut tx, &tombstone, deps.dispatch_after).await? {
        Some(made) => (Step::MoveTo(made.status), made),
        None => tell_in_tx(&mut tx, order, Fact::StopAsked, deps.dispatch_after, traceparent)
            .await?
            .ok_or(ShippingError::NotFound(order))?,
    };
    kill_point!("shipping.stopped.before-commit");
    tx.commit().await?;
    kill_point!("shipping.stopped.after-commit");
    match step {
        Step::MoveTo(_) => {
            deps.relay.wake();
            info!(order.id = %order, shipment.version = shipment.version, "stopped");
            Ok(Stopped::InTime(shipment))
        }
        Step::Stay => Ok(Stopped::InTime(shipment)),
        Step::Refuse => Ok(Stopped::TooLate(shipment)),
    }
}
