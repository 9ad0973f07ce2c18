//! Why a charge, void or refund has no outcome, or a request is refused.

use std::sync::Arc;

use batcher::Refused;
use contracts::{
    ids::{InvalidId, OrderId},
    money::InvalidMoney,
    problem::ProblemCode,
};
use service_runtime::database;
use tonic::Status;

use crate::payment::InvalidCardToken;

/// A failure of payment. For a charge, a void or a refund each means: the outcome is unknown, ask again.
#[derive(Debug, thiserror::Error)]
pub enum PaymentError {
    /// The database did not answer, or refused.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// A letter could not be written.
    #[error("the outbox failed: {0}")]
    Outbox(#[from] outbox::Error),
    /// Order did not say whether, and from which card, an order is to be charged.
    #[error("order gave no instruction: {0}")]
    NoInstruction(String),
    /// The order was asked for before with another amount or card. Asking again does not help.
    #[error("order {0} was charged before with another amount or card; nothing was charged now")]
    OtherTerms(OrderId),
    /// Too much waits to be written.
    #[error("too many payments wait to be written")]
    Busy,
    /// What the payments failed of that were to be written together.
    #[error(transparent)]
    Together(Arc<PaymentError>),
    /// The payments that were written together ended in a panic.
    #[error("writing payments panicked")]
    Lost,
    /// The row of a payment was there and is not any more.
    #[error("the payment of order {0} is gone")]
    Gone(OrderId),
    /// A row that this version cannot read.
    #[error("the payment of order {order_id} has an unreadable {column}")]
    Unreadable {
        /// The order.
        order_id: OrderId,
        /// The column.
        column: &'static str,
    },
}

impl PaymentError {
    /// What may be told to whoever asked. Internal detail goes to the log.
    pub fn told(&self) -> String {
        match self {
            Self::OtherTerms(_) => self.to_string(),
            Self::Together(error) => error.told(),
            Self::Database(_)
            | Self::Outbox(_)
            | Self::NoInstruction(_)
            | Self::Busy
            | Self::Lost
            | Self::Gone(_)
            | Self::Unreadable { .. } => "payment cannot tell now".to_owned(),
        }
    }
}

impl From<Refused<Arc<PaymentError>>> for PaymentError {
    fn from(refused: Refused<Arc<PaymentError>>) -> Self {
        match refused {
            Refused::Full => Self::Busy,
            Refused::Failed(error) => Self::Together(error),
            Refused::Late => Self::Database(database::no_answer()),
            Refused::Lost => Self::Lost,
        }
    }
}

/// What makes a request one that can never be answered.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRequest {
    /// The order id.
    #[error("order_id: {0}")]
    OrderId(#[from] InvalidId),
    /// The amount.
    #[error("amount: {0}")]
    Amount(#[from] InvalidMoney),
    /// The card token.
    #[error("card_token: {0}")]
    CardToken(#[from] InvalidCardToken),
    /// The budget.
    #[error("budget_ms: must be at least 1")]
    Budget,
}

impl From<InvalidRequest> for Status {
    fn from(invalid: InvalidRequest) -> Self {
        rpc::status(ProblemCode::Invalid, invalid.to_string())
    }
}
