//! What a cancelled order had bought can be sold again.

use contracts::ids::OrderId;
use service_runtime::kill_point;
use sqlx::PgConnection;
use tracing::info;

use crate::{
    InventoryError,
    life::{Applied, State, Step},
    store::{self, Stepped},
};

/// Makes what the order bought available again. Of an order that bought nothing, or whose pieces came back before,
/// nothing changes.
///
/// An order that still holds its stock was neither completed nor released, so it cannot be cancelled yet: that is
/// [`InventoryError::Contradiction`]. The caller commits.
pub async fn take_back_in_tx(conn: &mut PgConnection, order: OrderId) -> Result<Applied, InventoryError> {
    match store::step_in_tx(conn, order, Step::TakeBack).await? {
        Stepped::Now => {
            kill_point!("inventory.taken-back.before-commit");
            info!(order.id = %order, "taken back");
            Ok(Applied::Now)
        }
        Stepped::Not(None | Some(State::Refused | State::Released | State::Returned)) => Ok(Applied::Before),
        Stepped::Not(found @ Some(State::Held | State::Settled)) => {
            Err(InventoryError::contradiction(order, "is cancelled", found))
        }
    }
}
