//! Feeding facts to a payment: what the table says is committed by compare-and-set.

use contracts::ids::OrderId;
use sqlx::PgPool;
use tracing::{error, info};

use crate::{
    error::PaymentError,
    kill_points,
    payment::{Fact, Heard, Payment, State, Step, Terms, next},
    store::{self, Change},
};

/// Commits that somebody asks for this order, the first time with a new row; gives the payment as it is then.
///
/// `asked` is [`Fact::ChargeAsked`] with the terms, or [`Fact::VoidAsked`].
pub async fn asked(
    pool: &PgPool,
    order_id: OrderId,
    terms: Option<&Terms>,
    asked: Fact,
) -> Result<Payment, PaymentError> {
    if let Step::Advance(first, _) = next(State::Unasked, asked) {
        kill_points::before_commit(first);
        if let Some(payment) = store::insert(pool, order_id, first, terms).await? {
            kill_points::after_commit(first);
            return Ok(payment);
        }
    }
    let payment = store::find(pool, order_id).await?.ok_or(PaymentError::Gone(order_id))?;
    learned(pool, payment, asked.into()).await
}

/// Commits what became known; gives the payment as it is then.
pub async fn learned(pool: &PgPool, mut payment: Payment, heard: Heard) -> Result<Payment, PaymentError> {
    // ends: each turn but the last found that another caller had moved the payment on, and no state comes twice
    loop {
        let (state, posting) = match next(payment.state, heard.fact) {
            Step::Stay => return Ok(payment),
            Step::Contradiction => {
                error!(order.id = %payment.order_id, state = ?payment.state, fact = ?heard.fact,
                    "the card network contradicts itself, changing nothing; compare its books");
                return Ok(payment);
            }
            Step::Advance(state, posting) => (state, posting),
        };
        let change =
            Change { state, posting, captured_at: heard.captured_at, decline_reason: heard.decline_reason.clone() };
        kill_points::before_commit(state);
        if let Some(changed) = store::advance(pool, &payment, &change).await? {
            kill_points::after_commit(state);
            info!(order.id = %changed.order_id, from = ?payment.state, to = ?changed.state, "payment moved");
            return Ok(changed);
        }
        let order_id = payment.order_id;
        payment = store::find(pool, order_id).await?.ok_or(PaymentError::Gone(order_id))?;
    }
}
