//! Keeping a change: the order, its letter, and the answers that the change decides, in one transaction.

use contracts::topics::ORDERS;
use service_runtime::clock::Clock;
use sqlx::PgConnection;
use tracing::info;

use crate::{
    answer, cancel_order,
    error::OrderError,
    events,
    order::Order,
    store::{self, Attempt, Kept, cancel_requests},
};

/// Writes `changed` over `before` as its next version, with its letter. `None` when somebody else has changed the order
/// since: nothing was written, roll back and read again. `detail` says more about a refusal than its reason alone.
pub async fn keep_in_tx(
    conn: &mut PgConnection,
    clock: Clock,
    before: &Kept,
    changed: &Order,
    detail: Option<&str>,
    attempt: Attempt,
) -> Result<Option<Kept>, OrderError> {
    let mut order = changed.clone();
    order.version = before.order.version + 1;
    order.updated_at = clock.now();
    // the first answer stays
    let answer = before.answer.clone().or_else(|| answer::of(&order, detail));
    if !store::update_in_tx(conn, &order, answer.as_ref(), attempt).await? {
        return Ok(None);
    }
    let letter = if order.state == before.order.state {
        events::shipment_updated(&order)
    } else {
        events::advanced(before.order.state, &order)
    };
    outbox::append_in_tx(conn, ORDERS, &letter).await?;
    if let Some(answer) = cancel_order::decided_by(before.order.state, &order) {
        cancel_requests::answer_in_tx(conn, order.id, &answer).await?;
    }
    info!(order.id = %order.id, state = order.state.name(), version = order.version, "order advanced");
    Ok(Some(Kept { order, answer }))
}
