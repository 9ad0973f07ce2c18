//! Sending a parcel on its way now.

use contracts::ids::OrderId;
use service_runtime::{kill_point, telemetry};
use tracing::info;

use crate::{
    Deps, ShippingError,
    changes::tell_in_tx,
    shipment::{Fact, Shipment, Step},
};

/// Dispatches the parcel of an order, and gives it as it then stands. One that is on its way already stays as it is.
pub async fn dispatch(deps: &Deps, order: OrderId) -> Result<Shipment, ShippingError> {
    let trace = telemetry::traceparent();
    let mut tx = deps.pool.begin().await?;
    let told = tell_in_tx(&mut tx, order, Fact::DispatchAsked, deps.dispatch_after, trace.as_deref()).await?;
    kill_point!("shipping.dispatched.before-commit");
    tx.commit().await?;
    kill_point!("shipping.dispatched.after-commit");
    match told {
        None => Err(ShippingError::NotFound(order)),
        Some((Step::Refuse, shipment)) => Err(ShippingError::NotDispatchable(order, shipment.status)),
        Some((Step::Stay, shipment)) => Ok(shipment),
        Some((Step::MoveTo(_), shipment)) => {
            deps.relay.wake();
            info!(order.id = %order, "dispatched on request");
            Ok(shipment)
        }
    }
}
