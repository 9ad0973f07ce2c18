//! The answer to placing an order: fixed by the commit that decides it, kept beside it, given again word for word.

use contracts::{
    order::v1::decided_answer::Answer,
    problem::{ProblemCode, v1::Problem},
};

use crate::{
    encode,
    order::Order,
    saga::{Reason, State},
};

/// The answer to an order by letter, fixed when it is kept: whatever becomes of the order, it was accepted.
pub fn accepted(order: &Order) -> Answer {
    Answer::Accepted(encode::order(order))
}

/// The answer that the change of `order` to its present state decides; `None` when it decides none. `detail` says more than the reason alone where
/// somebody told more (which SKU, which words of the bank).
#[expect(clippy::match_same_arms, reason = "None for two reasons")]
pub fn of(order: &Order, detail: Option<&str>) -> Option<Answer> {
    Some(match order.state {
        State::Completed => Answer::Placed(encode::order(order)),
        State::GivenUp(reason) => Answer::Refused(refusal(order, reason, detail)),
        // not decided yet, or decided before: then its answer is kept already
        State::AwaitingStock | State::AwaitingPayment | State::Voiding(_) | State::Releasing(_) => return None,
        State::Stopping | State::Refunding | State::Refunded => return None,
    })
}

fn refusal(order: &Order, reason: Reason, detail: Option<&str>) -> Problem {
    let (code, usual) = match reason {
        Reason::OutOfStock => (ProblemCode::OutOfStock, "there is too little stock for a line; nothing is charged"),
        Reason::UnknownSku => (ProblemCode::UnknownSku, "no product has the SKU of a line"),
        Reason::MixedCurrencies => {
            (ProblemCode::MixedCurrencies, "the lines are priced in two currencies; order them one by one")
        }
        Reason::PaymentDeclined => {
            (ProblemCode::PaymentDeclined, "the card was declined; the stock is free again, try another card")
        }
        Reason::UnknownCard => (ProblemCode::UnknownCard, "the card network does not know this card"),
        Reason::CustomerRequest => (ProblemCode::OrderCancelled, "the order was cancelled; nothing is charged"),
        Reason::Expired => {
            (ProblemCode::OrderExpired, "the order could not be decided in its time; nothing is charged, order again")
        }
    };
    Problem {
        code: code.word().to_owned(),
        detail: detail.unwrap_or(usual).to_owned(),
        trace_id: order.trace_id.clone(),
        order_id: order.id.to_string(),
    }
}
