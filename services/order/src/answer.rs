//! The answer to placing an order: fixed by the commit that decides it, kept beside it, given again word for word.

use contracts::{
    order::v1::{DecidedAnswer, decided_answer::Answer},
    problem::{ProblemCode, v1::Problem},
};

use crate::{
    encode,
    order::Order,
    saga::{Reason, State},
};

/// The answer of a decided order; `None` while it is not decided. `detail` says more than the reason alone where
/// somebody told more (which SKU, which words of the bank).
pub fn of(order: &Order, detail: Option<&str>) -> Option<DecidedAnswer> {
    let answer = match order.state {
        State::Completed => Answer::Placed(encode::order(order)),
        State::Rejected(reason) => Answer::Refused(refusal(order, reason, detail)),
        State::AwaitingStock | State::AwaitingPayment | State::Voiding(_) | State::Releasing(_) => return None,
    };
    Some(DecidedAnswer { answer: Some(answer) })
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
