//! Charging an order that was placed by letter: one attempt.

use std::time::Duration;

use contracts::{ids::OrderId, inventory::v1::Reserved, money::Money, topics::PAYMENTS};
use prost::Message;
use service_runtime::kill_point;
use tracing::info;

use crate::{
    Deps,
    charge::{ChargeOrder, charge},
    error::PaymentError,
    events,
    instruction::Instruction,
    payment::State,
    store,
    work::{self, Work},
};

/// How long order may take to say which card.
const INSTRUCTION_BUDGET: Duration = Duration::from_secs(2);

/// How long the card network may take; after that, another attempt asks again.
const CHARGE_BUDGET: Duration = Duration::from_secs(4);

/// What an attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// The order is done with.
    Done,
    /// Nobody knows yet whether the card was charged: attempt it again.
    Unknown,
}

/// Charges the order unless that is settled, and answers it by letter. An error is as good as [`Attempt::Unknown`].
///
/// It may die anywhere: what is committed is found by the next attempt. A payment that is settled asks neither order nor
/// the card network again.
pub async fn attempt(deps: &Deps, work: &Work) -> Result<Attempt, PaymentError> {
    let unreadable = || PaymentError::Unreadable { order_id: work.order_id, column: "reserved" };
    let reserved = Reserved::decode(work.reserved.as_slice()).map_err(|_| unreadable())?;
    let amount = Money::try_from(reserved.total.clone()).map_err(|_| unreadable())?;
    let known = store::find(&deps.pool, work.order_id).await?.map_or(State::Unasked, |payment| payment.state);
    let state = if matches!(known, State::Unasked | State::Attempting) {
        match deps.order.instruction(work.order_id, INSTRUCTION_BUDGET).await? {
            Instruction::ChargeCard(card_token) => {
                let asked = ChargeOrder { order_id: work.order_id, amount, card_token, budget: CHARGE_BUDGET };
                charge(deps, &asked).await?.state
            }
            Instruction::NotWanted => {
                info!(order.id = %work.order_id, "order does not want it charged, giving up");
                close(deps, work.order_id, reserved).await?;
                return Ok(Attempt::Done);
            }
        }
    } else {
        known
    };
    match state {
        State::Unasked | State::Attempting => Ok(Attempt::Unknown),
        // what is voided or refunded, order itself gave up
        State::Captured
        | State::Declined
        | State::UnknownCard
        | State::Voiding
        | State::Voided
        | State::Refunding
        | State::Refunded => {
            close(deps, work.order_id, reserved).await?;
            Ok(Attempt::Done)
        }
    }
}

/// Ends the work in one transaction with its letter, if the payment has one. The note on the payment lets only one of
/// several attempts write it, also when the letter that asked for the charge comes again years later.
async fn close(deps: &Deps, order_id: OrderId, reserved: Reserved) -> Result<(), PaymentError> {
    let mut tx = deps.pool.begin().await?;
    let payment = store::answer_in_tx(&mut tx, order_id).await?;
    let letter = payment.and_then(|payment| events::letter(&payment, reserved, deps.clock.now()));
    if let Some(letter) = &letter {
        outbox::append_in_tx(&mut tx, PAYMENTS, letter).await?;
    }
    work::remove_in_tx(&mut tx, order_id).await?;
    kill_point!("payment.answered.before-commit");
    tx.commit().await?;
    kill_point!("payment.answered.after-commit");
    if let Some(letter) = letter {
        deps.relay.wake();
        info!(order.id = %order_id, letter = letter.event_type, "answered by letter");
    }
    Ok(())
}
