//! What a completed order held is sold.

use contracts::ids::OrderId;
use service_runtime::kill_point;
use sqlx::PgConnection;
use tracing::info;

use crate::{
    InventoryError,
    life::{Applied, State, Step},
    store::{self, Stepped},
};

/// As [`settle_in_tx`], for many orders.
pub(crate) async fn settle_all_in_tx(conn: &mut PgConnection, orders: &[OrderId]) -> Result<(), InventoryError> {
    let sold = store::settle_held_in_tx(conn, orders).await?;
    if !sold.is_empty() {
        before_commit();
    }
    for order in orders {
        if sold.contains(order) {
            info!(order.id = %order, "sold");
        } else {
            // it was sold before, or something is wrong with it
            settle_in_tx(conn, *order).await?;
        }
    }
    Ok(())
}

/// Turns what the order holds from reserved into sold. Doing it again changes nothing, also after the pieces came back.
///
/// An order that holds nothing cannot have been completed: that is [`InventoryError::Contradiction`]. The caller
/// commits.
pub async fn settle_in_tx(conn: &mut PgConnection, order: OrderId) -> Result<Applied, InventoryError> {
    match store::step_in_tx(conn, order, Step::Settle).await? {
        Stepped::Now => {
            before_commit();
            info!(order.id = %order, "sold");
            Ok(Applied::Now)
        }
        Stepped::Not(Some(State::Settled | State::Returned)) => Ok(Applied::Before),
        Stepped::Not(found @ (None | Some(State::Held | State::Refused | State::Released))) => {
            Err(InventoryError::contradiction(order, "is completed", found))
        }
    }
}

fn before_commit() {
    kill_point!("inventory.settled.before-commit");
}
