//! Making sure that nothing is captured for an order, now or later.

use std::time::Duration;

use contracts::ids::OrderId;
use tracing::warn;

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
pub async fn void(deps: &Deps, asked: &VoidOrder) -> Result<Payment, PaymentError> {
    let mut patience = Patience::new(asked.budget);
    let mut payment = record::asked(&deps.pool, asked.order_id, None, Fact::VoidAsked).await?;
    while payment.state == State::Voiding {
        match deps.psp.void(asked.order_id, patience.left()).await {
            Ok(answer) => payment = record::learned(&deps.pool, payment, answer).await?,
            Err(unclear) => {
                warn!(order.id = %asked.order_id, "the void is not confirmed: {unclear}");
                if !patience.pause().await {
                    break;
                }
            }
        }
    }
    Ok(payment)
}
