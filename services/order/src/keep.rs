//! Keeping a change: the order, its letters, and the answers that the change decides, in one transaction.

use contracts::{event::Event, order::v1::CancelOrderResponse};
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

/// A change of an order with all that is written for it.
#[derive(Debug)]
pub struct Keep {
    /// The version that is changed.
    pub seen: i64,
    /// The order as it will be kept.
    pub kept: Kept,
    /// When recovery may take it up.
    pub attempt: Attempt,
    /// Whether its lines are other than before: they are priced once.
    pub has_other_lines: bool,
    /// What is told of it, in this order.
    pub letters: Vec<Event>,
    answer_to_cancels: Option<CancelOrderResponse>,
}

impl Keep {
    /// To write `changed` over `before` as its next version, with its letter, which belongs to the current trace. `detail` says more
    /// about a refusal than its reason alone.
    pub fn new(clock: Clock, before: &Kept, changed: &Order, detail: Option<&str>, attempt: Attempt) -> Self {
        let mut order = changed.clone();
        order.version = before.order.version + 1;
        order.updated_at = clock.now();
        // the first answer stays
        let answer = before.answer.clone().or_else(|| answer::of(&order, detail));
        let letter = if order.state == before.order.state {
            events::shipment_updated(&order)
        } else {
            events::advanced(before.order.state, &order)
        };
        let answer_to_cancels = cancel_order::decided_by(before.order.state, &order);
        let has_other_lines = order.lines != before.order.lines;
        let kept = Kept { order, answer };
        Self { seen: before.order.version, kept, attempt, has_other_lines, letters: vec![letter], answer_to_cancels }
    }

    /// This change and the one after it, to be written as one: the version between them is a letter, and never a row.
    #[must_use]
    pub fn and(mut self, next: Self) -> Self {
        self.letters.extend(next.letters);
        let attempt = match next.attempt {
            Attempt::AsBefore => self.attempt,
            Attempt::After(_) => next.attempt,
        };
        let answer_to_cancels = next.answer_to_cancels.or(self.answer_to_cancels);
        let has_other_lines = self.has_other_lines || next.has_other_lines;
        Self { seen: self.seen, kept: next.kept, attempt, has_other_lines, letters: self.letters, answer_to_cancels }
    }

    /// Whether it is written by one statement, which needs no transaction around it.
    pub const fn is_one_statement(&self) -> bool {
        self.answer_to_cancels.is_none()
    }

    /// Tells the log, once it is written.
    pub fn log(&self) {
        let order = &self.kept.order;
        info!(order.id = %order.id, state = order.state.name(), version = order.version, "order advanced");
    }
}

/// Writes changes, and says of each whether it was written: not when somebody else has changed its order since. Of an order there
/// is one change at most that can be. Those that are [one statement](Keep::is_one_statement) each are one all together.
pub async fn keep_all_in_tx(conn: &mut PgConnection, changes: &[&Keep]) -> Result<Vec<bool>, OrderError> {
    let written = store::update_all(conn, changes).await?;
    for (change, &written) in changes.iter().zip(&written) {
        if written && let Some(answer) = &change.answer_to_cancels {
            cancel_requests::answer_in_tx(conn, change.kept.order.id, answer).await?;
        }
    }
    Ok(written)
}

/// Writes one change. See [`Keep::new`]. `None` when somebody else has changed the order since: nothing was written, roll back
/// and read again.
pub async fn keep_in_tx(
    conn: &mut PgConnection,
    clock: Clock,
    before: &Kept,
    changed: &Order,
    detail: Option<&str>,
    attempt: Attempt,
) -> Result<Option<Kept>, OrderError> {
    let change = Keep::new(clock, before, changed, detail, attempt);
    if !keep_all_in_tx(conn, &[&change]).await?[0] {
        return Ok(None);
    }
    change.log();
    Ok(Some(change.kept))
}
