//! Giving the stock of an order back.

use contracts::ids::OrderId;
use sqlx::PgPool;
use tracing::info;

use crate::{
    InventoryError,
    store::{self, Recorded},
};

/// Gives back what the order holds. Where it never asked for anything, a tombstone is left that refuses a later
/// [`crate::reserve()`]. Doing it again changes nothing.
pub async fn release(pool: &PgPool, order: OrderId) -> Result<(), InventoryError> {
    let mut tx = pool.begin().await?;
    if store::bury_in_tx(&mut tx, order).await? == Recorded::Now {
        tx.commit().await?;
        info!(order.id = %order, "released before it was reserved");
        return Ok(());
    }
    // stock before reservation, as everywhere
    store::lock_stock_of_in_tx(&mut tx, order).await?;
    let given_back = store::give_back_in_tx(&mut tx, order).await?;
    tx.commit().await?;
    if given_back {
        info!(order.id = %order, "released");
    }
    Ok(())
}
