//! Charging an order, at most once.

use std::time::Duration;

use contracts::{ids::OrderId, money::Money};

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
    let patience = Patience::new(asked.budget);
    let terms = Terms { amount: asked.amount, card: CardFingerprint::new(asked.order_id, &asked.card_token) };
    let payment = record::asked(deps, asked.order_id, Some(&terms), Fact::ChargeAsked).await?;
    if payment.terms.as_ref().is_some_and(|known| *known != terms) {
        return Err(PaymentError::OtherTerms(asked.order_id));
    }
    if payment.state != State::Attempting {
        return Ok(payment);
    }
    let call = |time| deps.psp.charge(asked.order_id, asked.amount, &asked.card_token, time);
    match patience.until_clear(asked.order_id, "charge", call).await {
        Some(answer) => record::learned(deps, payment, answer).await,
        None => Ok(payment),
    }
}
