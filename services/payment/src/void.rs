//! Making sure that nothing is captured for an order, now or later.

use std::time::Duration;

use contracts::ids::OrderId;

use crate::{
    Deps,
    error::PaymentError,
    patience::Patience,
    payment::{Fact, Payment, State},
    record,
};

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct VoidOrder {
    /// Which order; it need not have been charged.
    pub order_id: OrderId,
    /// How long the caller waits.
    pub budget: Duration,
}

/// Voids the order's charge: blocks a charge that comes later, and gives back what was captured. The payment is VOIDING
/// when the network did not confirm within the budget; it stays blocked, and asking again goes on.
///
/// A payment that is REFUNDING or REFUNDED stays so: its money is given back once.
pub async fn void(deps: &Deps, asked: &VoidOrder) -> Result<Payment, PaymentError> {
    let patience = Patience::new(asked.budget);
    let payment = record::asked(deps, asked.order_id, None, Fact::VoidAsked).await?;
    if payment.state != State::Voiding {
        return Ok(payment);
    }
    match patience.until_clear(asked.order_id, "void", |time| deps.psp.void(asked.order_id, time)).await {
        Some(answer) => record::learned(deps, payment, answer).await,
        None => Ok(payment),
    }
}
