//! Reserving the stock of an order.

use service_runtime::kill_point;
use sqlx::{PgConnection, PgPool};
use tracing::{info, warn};

use crate::{
    InventoryError,
    reservation::{Answer, Decision, Reserve, decide},
    store::{self, Recorded},
};

/// Reserves all lines of the order or none, and keeps the answer: the same order gets the same answer again.
///
/// An order that asks again with other lines gets the answer to its first ones: they are what it holds.
pub async fn reserve(pool: &PgPool, wish: &Reserve) -> Result<Answer, InventoryError> {
    let mut tx = pool.begin().await?;
    let Some(decision) = reserve_in_tx(&mut tx, wish).await? else {
        tx.rollback().await?;
        return answer_again(pool, wish).await;
    };
    kill_point!("inventory.reserved.before-commit");
    tx.commit().await?;
    kill_point!("inventory.reserved.after-commit");
    info!(order.id = %wish.order, held = decision.is_ok(), "answered a reservation");
    Ok(decision.into())
}

/// The rule behind both doors, telephone and letter. `None` when the order had its answer before, or its release came
/// first: then nothing is changed. The caller commits.
pub(crate) async fn reserve_in_tx(conn: &mut PgConnection, wish: &Reserve) -> Result<Option<Decision>, InventoryError> {
    let offers = store::lock_stock_in_tx(conn, wish.lines()).await?;
    let decision = decide(wish.lines(), &offers);
    let recorded = match &decision {
        Ok(lines) => store::hold_in_tx(conn, wish.order, lines).await?,
        Err(refusal) => store::refuse_in_tx(conn, wish, refusal).await?,
    };
    Ok((recorded == Recorded::Now).then_some(decision))
}

async fn answer_again(pool: &PgPool, wish: &Reserve) -> Result<Answer, InventoryError> {
    let kept = store::find_reservation(pool, wish.order).await?;
    // a release that came first has no lines to compare with
    if kept.answer != Answer::Released && !kept.is_about(wish.lines()) {
        warn!(order.id = %wish.order, "an order asked again with other lines and got the answer to its first ones");
    }
    Ok(kept.answer)
}
