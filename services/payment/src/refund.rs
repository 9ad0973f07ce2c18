//! Giving back what was captured, whole and once.

use std::time::Duration;

use contracts::ids::OrderId;

use crate::{
    Deps,
    error::PaymentError,
    patience::Patience,
    payment::{Fact, Payment, State},
    record, store,
};

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct RefundOrder {
    /// Which order.
    pub order_id: OrderId,
    /// How long the caller waits.
    pub budget: Duration,
}

/// Refunds the order's charge. The payment is REFUNDING when the network did not confirm within the budget; asking again
/// goes on, under the same refund reference. `None` when nobody ever asked to charge or void the order.
///
/// Where nothing was captured, nothing is written either: it is not a void, and blocks no charge.
pub async fn refund(deps: &Deps, asked: &RefundOrder) -> Result<Option<Payment>, PaymentError> {
    let patience = Patience::new(asked.budget);
    let Some(payment) = store::find(&deps.pool, asked.order_id).await? else { return Ok(None) };
    let payment = record::learned(deps, payment, Fact::RefundAsked.into()).await?;
    let Some(terms) = payment.terms.as_ref().filter(|_| payment.state == State::Refunding) else {
        return Ok(Some(payment));
    };
    // the network refuses to give back nothing, and nothing is what a free order has paid
    let answer = if terms.amount.minor_units() == 0 {
        Some(Fact::NetworkRefunded.into())
    } else {
        let call = |time| deps.psp.refund(asked.order_id, terms.amount, time);
        patience.until_clear(asked.order_id, "refund", call).await
    };
    match answer {
        Some(answer) => record::learned(deps, payment, answer).await.map(Some),
        None => Ok(Some(payment)),
    }
}
