//! Feeding facts to a payment: what the table says is committed by compare-and-set.

use contracts::ids::OrderId;
use tracing::{error, info};

use crate::{
    Deps,
    error::PaymentError,
    payment::{Fact, Heard, Payment, State, Step, Terms, next},
    store::{self, Change, First},
};

/// Commits that somebody asks for this order, the first time with a new row; gives the payment as it is then.
///
/// `asked` is [`Fact::ChargeAsked`] with the terms, or [`Fact::VoidAsked`].
pub async fn asked(
    deps: &Deps,
    order_id: OrderId,
    terms: Option<&Terms>,
    asked: Fact,
) -> Result<Payment, PaymentError> {
    if let Step::Advance(first, _) = next(State::Unasked, asked) {
        let first = First { order_id, state: first, terms: terms.cloned() };
        if let Some(payment) = deps.books.insert(first).await? {
            return Ok(payment);
        }
    }
    let payment = store::find(&deps.pool, order_id).await?.ok_or(PaymentError::Gone(order_id))?;
    learned(deps, payment, asked.into()).await
}

/// Commits what became known; gives the payment as it is then.
pub async fn learned(deps: &Deps, mut payment: Payment, heard: Heard) -> Result<Payment, PaymentError> {
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
        let change = Change {
            order_id: payment.order_id,
            seen: payment.version,
            state,
            posting,
            captured_at: heard.captured_at,
            decline_reason: heard.decline_reason.clone(),
        };
        if let Some(changed) = deps.books.advance(change).await? {
            info!(order.id = %changed.order_id, from = ?payment.state, to = ?changed.state, "payment moved");
            return Ok(changed);
        }
        let order_id = payment.order_id;
        payment = store::find(&deps.pool, order_id).await?.ok_or(PaymentError::Gone(order_id))?;
    }
}
