//! What callers are answered: payments and failures as messages.

use contracts::{
    ids::OrderId,
    payment::v1::{
        self as api, ChargeResponse, PaymentState, RefundResponse, VoidResponse, charge_response, refund_response,
        void_response,
    },
    timestamp_to_proto,
};
use tracing::error;

use crate::{
    error::PaymentError,
    payment::{Payment, State},
};

const NOT_ANSWERED: &str = "the card network has not answered";
const BEING_VOIDED: &str = "being voided; ask to void until that is confirmed";
const BEING_REFUNDED: &str = "being refunded; ask to refund until that is confirmed";

/// What somebody who asked to charge is told.
pub fn charged(order_id: OrderId, charged: Result<Payment, PaymentError>) -> ChargeResponse {
    use charge_response::Outcome;
    let outcome = match charged {
        Ok(payment) => match payment.state {
            State::Captured => Outcome::Captured(captured(&payment)),
            State::Declined => Outcome::Declined(declined(&payment)),
            State::UnknownCard => Outcome::UnknownCard(api::UnknownCard {}),
            // of a refunded charge it is just as true: nothing is captured, and nothing will be
            State::Voided | State::Refunded => Outcome::Voided(api::Voided {}),
            State::Unasked | State::Attempting => Outcome::Unknown(unknown(NOT_ANSWERED)),
            State::Voiding => Outcome::Unknown(unknown(BEING_VOIDED)),
            State::Refunding => Outcome::Unknown(unknown(BEING_REFUNDED)),
        },
        Err(failure) => Outcome::Unknown(failed(order_id, &failure)),
    };
    ChargeResponse { order_id: order_id.to_string(), outcome: Some(outcome) }
}

/// What somebody who asked to void is told.
pub fn voided(order_id: OrderId, voided: Result<Payment, PaymentError>) -> VoidResponse {
    use void_response::Outcome;
    let outcome = match voided {
        Ok(payment) => match payment.state {
            State::Voided | State::Refunded => Outcome::Voided(api::Voided {}),
            State::Refunding => Outcome::Unknown(unknown(BEING_REFUNDED)),
            State::Unasked
            | State::Attempting
            | State::Captured
            | State::Declined
            | State::UnknownCard
            | State::Voiding => Outcome::Unknown(unknown(NOT_ANSWERED)),
        },
        Err(failure) => Outcome::Unknown(failed(order_id, &failure)),
    };
    VoidResponse { order_id: order_id.to_string(), outcome: Some(outcome) }
}

/// What somebody who asked to refund is told.
pub fn refunded(order_id: OrderId, refunded: Result<Option<Payment>, PaymentError>) -> RefundResponse {
    use refund_response::Outcome;
    let outcome = match refunded {
        Ok(payment) => match payment.map_or(State::Unasked, |payment| payment.state) {
            State::Refunded => Outcome::Refunded(api::Refunded {}),
            State::Unasked | State::Declined | State::UnknownCard | State::Voided => {
                Outcome::NothingCaptured(api::NothingCaptured {})
            }
            State::Attempting => Outcome::Unknown(unknown("whether it was captured is not known; ask to void it")),
            State::Captured | State::Refunding => Outcome::Unknown(unknown(NOT_ANSWERED)),
            State::Voiding => Outcome::Unknown(unknown(BEING_VOIDED)),
        },
        Err(failure) => Outcome::Unknown(failed(order_id, &failure)),
    };
    RefundResponse { order_id: order_id.to_string(), outcome: Some(outcome) }
}

/// A capture, as calls and letters tell it.
pub fn captured(payment: &Payment) -> api::Captured {
    api::Captured { captured_at: payment.captured_at.map(timestamp_to_proto) }
}

/// A decline, as calls and letters tell it.
pub fn declined(payment: &Payment) -> api::Declined {
    api::Declined { reason: payment.decline_reason.clone().unwrap_or_default() }
}

fn failed(order_id: OrderId, failure: &PaymentError) -> api::UnknownOutcome {
    error!(order.id = %order_id, "{failure}");
    unknown(&failure.told())
}

fn unknown(detail: &str) -> api::UnknownOutcome {
    api::UnknownOutcome { detail: detail.to_owned() }
}

impl From<Payment> for api::Payment {
    fn from(payment: Payment) -> Self {
        let state = match payment.state {
            State::Unasked => PaymentState::Unspecified,
            State::Attempting => PaymentState::Attempting,
            State::Captured => PaymentState::Captured,
            State::Declined => PaymentState::Declined,
            State::UnknownCard => PaymentState::UnknownCard,
            State::Voiding => PaymentState::Voiding,
            State::Voided => PaymentState::Voided,
            State::Refunding => PaymentState::Refunding,
            State::Refunded => PaymentState::Refunded,
        };
        Self {
            order_id: payment.order_id.to_string(),
            state: state.into(),
            amount: payment.terms.map(|terms| terms.amount.into()),
        }
    }
}
