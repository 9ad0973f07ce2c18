//! Sending a parcel on its way now.

use contracts::ids::OrderId;
use tracing::info;

use crate::{
    Deps, ShippingError,
    advance::advance_in_tx,
    shipment::{Fact, Shipment, Step, next},
    store,
};

/// Dispatches the parcel of an order, and gives it as it then stands. One that is on its way already stays as it is.
pub async fn dispatch(deps: &Deps, order: OrderId) -> Result<Shipment, ShippingError> {
    // each round that is lost to somebody else has moved the shipment on, and it moves on twice in its life
    loop {
        let seen = store::find(&deps.pool, order).await?.ok_or(ShippingError::NotFound(order))?;
        if next(seen.status, Fact::DispatchAsked) == Step::Stay {
            return Ok(seen);
        }
        let mut tx = deps.pool.begin().await?;
        let moved = advance_in_tx(&mut tx, &[seen], Fact::DispatchAsked, deps.dispatch_after).await?.pop();
        tx.commit().await?;
        if let Some(dispatched) = moved {
            deps.relay.wake();
            info!(order.id = %order, "dispatched on request");
            return Ok(dispatched);
        }
    }
}
