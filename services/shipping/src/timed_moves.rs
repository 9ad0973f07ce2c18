//! Time passes: parcels that were prepared are dispatched, and parcels on their way arrive. Only the database's clock
//! decides when.

use std::time::Duration;

use service_runtime::{Horizon, kill_point};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::{Deps, ShippingError, changes::advance_in_tx, shipment::Fact, store::shipments};

/// The most shipments of one transaction.
const BATCH_SHIPMENTS_MAX: usize = 100;

/// How long nothing is looked for after nothing more was due, or something was away.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Moves on what is due, until the end is requested. Every replica may run it.
pub async fn run(deps: Deps) {
    let end = deps.shutdown.token();
    let mut horizon = Horizon::default();
    while !end.is_cancelled() {
        match move_due(&deps, &mut horizon).await {
            Ok(BATCH_SHIPMENTS_MAX) => continue,
            Ok(_) => {}
            Err(error) => warn!(%error, "shipments that are due wait"),
        }
        // only the pause is cut short; a transaction never is
        tokio::select! {
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
            () = end.cancelled() => {}
        }
    }
}

/// Moves on at most [`BATCH_SHIPMENTS_MAX`] shipments, and says how many.
pub async fn move_due(deps: &Deps, horizon: &mut Horizon) -> Result<usize, ShippingError> {
    let (began, back) = (Instant::now(), horizon.look_back());
    let mut tx = deps.pool.begin().await?;
    let due = shipments::claim_due_in_tx(&mut tx, BATCH_SHIPMENTS_MAX, back).await?;
    let took_all = due.len() < BATCH_SHIPMENTS_MAX;
    if due.is_empty() {
        tx.rollback().await?;
        horizon.looked(back, began, took_all);
        return Ok(0);
    }
    let moved = advance_in_tx(&mut tx, &due, Fact::TimePassed, deps.dispatch_after, None).await?;
    kill_point!("shipping.moved.before-commit");
    tx.commit().await?;
    kill_point!("shipping.moved.after-commit");
    horizon.looked(back, began, took_all);
    deps.relay.wake();
    for shipment in &moved {
        info!(order.id = %shipment.order, status = ?shipment.status, "moved on in time");
    }
    Ok(due.len())
}
