//! Reserving the stock of an order.

use sqlx::PgPool;
use tracing::{info, warn};

use crate::{
    InventoryError,
    reservation::{Answer, Reserve, decide},
    store::{self, Recorded},
};

/// Reserves all lines of the order or none, and keeps the answer: the same order gets the same answer again.
///
/// An order that asks again with other lines gets the answer to its first ones: they are what it holds.
pub async fn reserve(pool: &PgPool, wish: &Reserve) -> Result<Answer, InventoryError> {
    let mut tx = pool.begin().await?;
    let offers = store::lock_stock_in_tx(&mut tx, wish.lines()).await?;
    let decision = decide(wish.lines(), &offers);
    let recorded = match &decision {
        Ok(lines) => store::hold_in_tx(&mut tx, wish.order, lines).await?,
        Err(refusal) => store::refuse_in_tx(&mut tx, wish, refusal).await?,
    };
    if recorded == Recorded::Before {
        tx.rollback().await?;
        return answer_again(pool, wish).await;
    }
    tx.commit().await?;
    info!(order.id = %wish.order, held = decision.is_ok(), "answered a reservation");
    Ok(match decision {
        Ok(lines) => Answer::Held(lines),
        Err(refusal) => Answer::Refused(refusal),
    })
}

async fn answer_again(pool: &PgPool, wish: &Reserve) -> Result<Answer, InventoryError> {
    let kept = store::find_reservation(pool, wish.order).await?;
    // a release that came first has no lines to compare with
    if kept.answer != Answer::Released && !kept.is_about(wish.lines()) {
        warn!(order.id = %wish.order, "an order asked again with other lines and got the answer to its first ones");
    }
    Ok(kept.answer)
}
