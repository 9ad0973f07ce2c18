//! How payment is to charge an order that came in by letter.

use contracts::{
    ids::OrderId,
    order::v1::{ChargeCard, NotWanted, get_payment_instruction_response::Instruction},
};

use crate::{Deps, error::OrderError, order::PlacedBy, saga::State, store};

/// The card of an order that still wants to be charged. An order that is given up a moment later is voided, which finds the
/// charge or blocks it.
pub async fn payment_instruction(deps: &Deps, id: OrderId) -> Result<Instruction, OrderError> {
    let order = store::find_own(&deps.pool, id).await?.ok_or(OrderError::NotFound(id))?.order;
    let is_wanted =
        order.placed_by == PlacedBy::Letter && matches!(order.state, State::AwaitingStock | State::AwaitingPayment);
    Ok(match order.card_token {
        Some(card_token) if is_wanted => Instruction::ChargeCard(ChargeCard { card_token }),
        _ => Instruction::NotWanted(NotWanted {}),
    })
}
