//! What can go wrong in order, and how it is told.

use std::sync::Arc;

use batcher::Refused;
use contracts::{ids::OrderId, problem::ProblemCode};
use service_runtime::database;
use tonic::Status;
use tracing::error;

/// Why a call was not served.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// A field of the request is wrong.
    #[error("{field}: {detail}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// There is no such order, or not for this viewer.
    #[error("there is no order {0}")]
    NotFound(OrderId),
    /// The key was used for another body.
    #[error("this Idempotency-Key was used for order {0} with another body; use a new key")]
    KeyReused(OrderId),
    /// The first request with this key is still being answered.
    #[error(
        "a request about order {0} with this Idempotency-Key is under way; ask again with the same key in a moment"
    )]
    KeyInFlight(OrderId),
    /// As many watch orders as this process can serve.
    #[error("too many watch orders at this time; try again in a moment")]
    TooManyWatches,
    /// The id that the caller proposed belongs to another order.
    #[error("the order id {0} is taken; propose a new one")]
    IdTaken(OrderId),
    /// The database is away or refused.
    #[error("the database of order: {0}")]
    Database(#[from] sqlx::Error),
    /// The letter could not be written.
    #[error("the outbox of order: {0}")]
    Outbox(#[from] outbox::Error),
    /// Too many orders wait to be written. Nothing was changed.
    #[error("too many orders wait to be written; try again in a moment")]
    Busy,
    /// What the orders failed of that were to be written together.
    #[error(transparent)]
    Together(Arc<OrderError>),
    /// The orders that were written together ended in a panic.
    #[error("writing orders panicked")]
    Lost,
    /// A row says what no order can be.
    #[error("order {id} cannot be read back: {detail}")]
    Corrupt {
        /// The order.
        id: OrderId,
        /// What is wrong.
        detail: String,
    },
}

impl OrderError {
    /// The word that the outside is told.
    pub fn code(&self) -> ProblemCode {
        match self {
            Self::Invalid { .. } | Self::IdTaken(_) => ProblemCode::Invalid,
            Self::NotFound(_) => ProblemCode::NotFound,
            Self::KeyReused(_) => ProblemCode::IdempotencyKeyReused,
            Self::KeyInFlight(_) => ProblemCode::IdempotencyKeyInFlight,
            Self::Together(error) => error.code(),
            Self::Database(_) | Self::Outbox(_) | Self::TooManyWatches | Self::Busy => ProblemCode::Unavailable,
            Self::Corrupt { .. } | Self::Lost => ProblemCode::Internal,
        }
    }

    /// What the outside is told beside the word. What happened inside goes to the log, here and only here.
    pub fn detail(&self) -> String {
        match self {
            Self::Invalid { .. }
            | Self::NotFound(_)
            | Self::KeyReused(_)
            | Self::KeyInFlight(_)
            | Self::IdTaken(_)
            | Self::TooManyWatches
            | Self::Busy => self.to_string(),
            Self::Together(error) => error.detail(),
            Self::Database(_) | Self::Outbox(_) => {
                error!("{self}");
                "order cannot reach its database; try again with the same key".to_owned()
            }
            Self::Corrupt { .. } | Self::Lost => {
                error!("{self}");
                "a fault of ours".to_owned()
            }
        }
    }

    /// A field that is not what it should be.
    pub fn invalid(field: &'static str, detail: impl Into<String>) -> Self {
        Self::Invalid { field, detail: detail.into() }
    }
}

impl From<Refused<Arc<OrderError>>> for OrderError {
    fn from(refused: Refused<Arc<OrderError>>) -> Self {
        match refused {
            Refused::Full => Self::Busy,
            Refused::Failed(error) => Self::Together(error),
            Refused::Late => Self::Database(database::no_answer()),
            Refused::Lost => Self::Lost,
        }
    }
}

impl From<OrderError> for Status {
    fn from(error: OrderError) -> Self {
        rpc::status(error.code(), error.detail())
    }
}
