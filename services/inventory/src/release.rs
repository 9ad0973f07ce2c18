//! Giving the stock of an order back that is not completed.

use contracts::ids::OrderId;
use service_runtime::kill_point;
use sqlx::PgPool;
use tracing::info;

use crate::{
    InventoryError,
    life::{State, Step},
    store::{self, Recorded, Stepped},
};

/// Gives back what the order holds. Where it never asked for anything, a tombstone is left that refuses a later
/// [`crate::Reservations::reserve`]. Doing it again changes nothing.
///
/// Stock that is sold stays sold: the order's own letter says that it was completed, so whoever wants it released is
/// wrong. That is [`InventoryError::Contradiction`], not the answer that nothing is held: with it, the order would be
/// given up while its pieces are gone. Once a cancelled order's stock came back, there is nothing to release.
pub async fn release(pool: &PgPool, order: OrderId) -> Result<(), InventoryError> {
    let mut tx = pool.begin().await?;
    if store::bury_in_tx(&mut tx, order).await? == Recorded::Now {
        kill_point!("inventory.buried.before-commit");
        tx.commit().await?;
        kill_point!("inventory.buried.after-commit");
        info!(order.id = %order, "released before it was reserved");
        return Ok(());
    }
    let stepped = store::step_in_tx(&mut tx, order, Step::Release).await?;
    kill_point!("inventory.released.before-commit");
    tx.commit().await?;
    kill_point!("inventory.released.after-commit");
    match stepped {
        Stepped::Now => {
            info!(order.id = %order, "released");
            Ok(())
        }
        Stepped::Not(Some(State::Refused | State::Released | State::Returned)) => Ok(()),
        Stepped::Not(found @ (None | Some(State::Held | State::Settled))) => {
            Err(InventoryError::contradiction(order, "is to be released", found))
        }
    }
}
