//! What can go wrong in shipping, and how it is told.

use consumer::HandlerError;
use contracts::{
    ids::{InvalidId, OrderId},
    problem::ProblemCode,
};
use operator_log::InvalidOperator;
use tracing::{error, warn};

use crate::shipment::Status;

/// Why a call was not served, or a letter not handled.
#[derive(Debug, thiserror::Error)]
pub enum ShippingError {
    /// The order id is none.
    #[error("order_id: {0}")]
    InvalidOrder(#[source] InvalidId),
    /// The customer's id is none.
    #[error("customer_id: {0}")]
    InvalidCustomer(#[source] InvalidId),
    /// The operator's id is none.
    #[error("operator_id: {0}")]
    InvalidOperator(#[source] InvalidOperator),
    /// There is no shipment for this order, or not yet.
    #[error("there is no shipment for order {0} (yet)")]
    NotFound(OrderId),
    /// The parcel waits for an address, or was stopped.
    #[error("the shipment of order {0} is {word} and cannot be dispatched", word = .1.word())]
    NotDispatchable(OrderId, Status),
    /// Accounts gave no answer.
    #[error("accounts: {}", .0.message())]
    Accounts(tonic::Status),
    /// The database is away or refused.
    #[error("the database of shipping: {0}")]
    Database(#[from] sqlx::Error),
    /// A letter could not be written.
    #[error("the outbox of shipping: {0}")]
    Outbox(#[from] outbox::Error),
}

impl ShippingError {
    /// The word that the outside is told.
    pub const fn code(&self) -> ProblemCode {
        match self {
            Self::InvalidOrder(_) | Self::InvalidCustomer(_) | Self::InvalidOperator(_) => ProblemCode::Invalid,
            Self::NotFound(_) => ProblemCode::NotFound,
            Self::NotDispatchable(..) => ProblemCode::NotDispatchable,
            Self::Accounts(_) | Self::Database(_) | Self::Outbox(outbox::Error::Database(_)) => {
                ProblemCode::Unavailable
            }
            Self::Outbox(_) => ProblemCode::Internal,
        }
    }

    /// What the outside is told beside the word. What happened inside goes to the log, here and only here.
    pub fn detail(&self) -> String {
        match self {
            Self::InvalidOrder(_)
            | Self::InvalidCustomer(_)
            | Self::InvalidOperator(_)
            | Self::NotFound(_)
            | Self::NotDispatchable(..) => self.to_string(),
            Self::Accounts(_) => {
                warn!("{self}");
                "accounts gives no answer; try again".to_owned()
            }
            Self::Database(_) | Self::Outbox(outbox::Error::Database(_)) => {
                warn!("{self}");
                "shipping cannot reach its database; try again".to_owned()
            }
            Self::Outbox(_) => {
                error!("{self}");
                "a fault of ours".to_owned()
            }
        }
    }
}

impl From<ShippingError> for tonic::Status {
    fn from(error: ShippingError) -> Self {
        rpc::status(error.code(), error.detail())
    }
}

/// What a failure means for the letter that was being handled: an outage is no fault of the letter.
impl From<ShippingError> for HandlerError {
    fn from(error: ShippingError) -> Self {
        match error {
            ShippingError::Database(error) | ShippingError::Outbox(outbox::Error::Database(error)) => error.into(),
            other => Self::Reject(other.into()),
        }
    }
}
