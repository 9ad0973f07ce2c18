//! Charging an order, at most once.

use std::time::Duration;

use contracts::{ids::OrderId, money::Money};
use tracing::warn;

use crate::{
    Deps,
    error::PaymentError,
    patience::Patience,
    payment::{CardFingerprint, CardToken, Fact, Payment, State, Terms},
    record,
};

/// What is asked for.
#[derive(Debug, Clone)]
pub struct ChargeOrder {
    /// Which order.
    pub order_id: OrderId,
    /// How much.
    pub amount: Money,
    /// From which card.
    pub card_token: CardToken,
    /// How long the caller waits.
    pub budget: Duration,
}

/// Charges the order, or gives what came of it when it was asked for before. The payment is ATTEMPTING when the network
/// gave no clear answer within the budget.
///
/// The attempt is committed before the network is called: whatever happens then, it is known that something may have
/// been captured. The reference is the order's id, so the network captures once, however often it is asked.
pub async fn charge(deps: &Deps, asked: &ChargeOrder) -> Result<Payment, PaymentError> {
    let mut patience = Patience::new(asked.budget);
    let terms = Terms { amount: asked.amount, card: CardFingerprint::new(asked.order_id, &asked.card_token) };
    let mut payment = record::asked(&deps.pool, asked.order_id, Some(&terms), Fact::ChargeAsked).await?;
    if payment.terms.as_ref().is_some_and(|known| *known != terms) {
        return Err(PaymentError::OtherTerms(asked.order_id));
    }
    while payment.state == State::Attempting {
        match deps.psp.charge(asked.order_id, asked.amount, &asked.card_token, patience.left()).await {
            Ok(answer) => payment = record::learned(&deps.pool, payment, answer).await?,
            Err(unclear) => {
                warn!(order.id = %asked.order_id, "outcome of the charge unknown: {unclear}");
                if !patience.pause().await {
                    break;
                }
            }
        }
    }
    Ok(payment)
}
