//! Sending a parcel on its way now.

use contracts::ids::OrderId;
use operator_log::{Action, Operator, note_in_tx};
use service_runtime::{kill_point, telemetry};
use tracing::info;

use crate::{
    Deps, ShippingError,
    changes::tell_in_tx,
    shipment::{Fact, Shipment, Step},
    store::shipments,
};

/// Dispatches the parcel of an order, and gives it as it then stands. One that is on its way already stays as it is, and has no
/// further entry in the log.
pub async fn dispatch(deps: &Deps, order: OrderId, operator: Operator) -> Result<Shipment, ShippingError> {
    let trace = telemetry::traceparent();
    let mut tx = deps.pool.begin().await?;
    // locked: what it is now, it is until it moves
    let before = shipments::lock_in_tx(&mut tx, order).await?.ok_or(ShippingError::NotFound(order))?.status;
    let told = tell_in_tx(&mut tx, order, Fact::DispatchAsked, deps.dispatch_after, trace.as_deref()).await?;
    if let Some((Step::MoveTo(after), _)) = &told {
        let action = Action::new(operator, "dispatch", format!("order/{order}"));
        note_in_tx(&mut tx, &action.changed("shipment", before.word(), after.word())).await?;
    }
    kill_point!("shipping.dispatched.before-commit");
    tx.commit().await?;
    kill_point!("shipping.dispatched.after-commit");
    match told {
        None => Err(ShippingError::NotFound(order)),
        Some((Step::Refuse, shipment)) => Err(ShippingError::NotDispatchable(order, shipment.status)),
        Some((Step::Stay, shipment)) => Ok(shipment),
        Some((Step::MoveTo(_), shipment)) => {
            deps.relay.wake();
            info!(order.id = %order, operator = %operator, "dispatched on request");
            Ok(shipment)
        }
    }
}
