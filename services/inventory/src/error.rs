//! What can go wrong in inventory, and how it is told.

use std::sync::Arc;

use batcher::Refused;
use consumer::HandlerError;
use contracts::{
    ids::{OrderId, Sku},
    problem::ProblemCode,
};
use service_runtime::database;
use tonic::Status;
use tracing::{error, warn};

use crate::life::State;

/// Why a call was not served, or a letter not handled.
#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    /// A field of the request is wrong.
    #[error("{field}: {detail}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// There is no product with this SKU.
    #[error("there is no product {0}")]
    UnknownProduct(Sku),
    /// The key was used for a delivery of something else.
    #[error("this Idempotency-Key was used for a delivery of {quantity} × {sku}; use a new key")]
    KeyReused {
        /// What was delivered.
        sku: String,
        /// How many pieces.
        quantity: i64,
    },
    /// What order says and what inventory knows cannot both be true. Nothing was changed, and somebody must look.
    #[error("order {order} {claim}, but {found}")]
    Contradiction {
        /// Which order.
        order: OrderId,
        /// What order says of it.
        claim: &'static str,
        /// What inventory knows.
        found: String,
    },
    /// A letter could not be written.
    #[error("the outbox of inventory: {0}")]
    Outbox(#[from] outbox::Error),
    /// Somebody else answered one of the orders at the same moment. Nothing was changed; asking again finds the answer.
    #[error("one of the orders was answered by somebody else at the same moment")]
    Raced,
    /// Too many reservations wait. Nothing was changed.
    #[error("too many reservations wait")]
    Busy,
    /// What the reservations failed of that were to be written together.
    #[error(transparent)]
    Together(Arc<InventoryError>),
    /// The database is away or refused. Whether anything was changed is not known; asking again is safe.
    #[error("the database of inventory: {0}")]
    Database(#[from] sqlx::Error),
    /// The database holds what cannot be. Nothing was changed.
    #[error("{what} is not as it must be: {detail}")]
    Corrupt {
        /// The product or the reservation.
        what: String,
        /// What is wrong with it.
        detail: String,
    },
}

impl InventoryError {
    /// Whether an order was answered by somebody else at the same moment.
    pub(crate) fn is_raced(&self) -> bool {
        match self {
            Self::Raced => true,
            Self::Together(error) => error.is_raced(),
            _ => false,
        }
    }

    /// A field that is not what it should be.
    pub(crate) fn invalid(field: &'static str, detail: impl Into<String>) -> Self {
        Self::Invalid { field, detail: detail.into() }
    }

    /// As [`Self::invalid`], for `map_err`.
    pub(crate) fn in_field<E: ToString>(field: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self::invalid(field, error.to_string())
    }

    /// For `map_err`, where `what` was read from the database.
    pub(crate) fn corrupt<E: ToString>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |error| Self::Corrupt { what, detail: error.to_string() }
    }

    /// Of `order` it is claimed what does not go with the state that its reservation is in.
    pub(crate) fn contradiction(order: OrderId, claim: &'static str, found: Option<State>) -> Self {
        let found =
            found.map_or_else(|| "it never reserved anything".to_owned(), |it| format!("its reservation is {it}"));
        Self::Contradiction { order, claim, found }
    }

    /// The word that the outside is told.
    pub fn code(&self) -> ProblemCode {
        match self {
            Self::Invalid { .. } => ProblemCode::Invalid,
            Self::UnknownProduct(_) => ProblemCode::NotFound,
            Self::KeyReused { .. } => ProblemCode::IdempotencyKeyReused,
            Self::Together(error) => error.code(),
            Self::Database(_) | Self::Outbox(outbox::Error::Database(_)) | Self::Raced | Self::Busy => {
                ProblemCode::Unavailable
            }
            Self::Contradiction { .. } | Self::Outbox(_) | Self::Corrupt { .. } => ProblemCode::Internal,
        }
    }

    /// What the outside is told beside the word. What happened inside goes to the log, here and only here.
    pub fn detail(&self) -> String {
        match self {
            Self::Invalid { .. } | Self::UnknownProduct(_) | Self::KeyReused { .. } | Self::Raced | Self::Busy => {
                self.to_string()
            }
            Self::Together(error) => error.detail(),
            // both sides log the same sentence, so that who looks finds the other one
            Self::Contradiction { .. } => {
                error!("{self}");
                self.to_string()
            }
            Self::Database(_) | Self::Outbox(outbox::Error::Database(_)) => {
                warn!("{self}");
                "inventory cannot reach its database; try again".to_owned()
            }
            Self::Outbox(_) | Self::Corrupt { .. } => {
                error!("{self}");
                "a fault of ours".to_owned()
            }
        }
    }
}

impl From<Refused<Arc<InventoryError>>> for InventoryError {
    fn from(refused: Refused<Arc<InventoryError>>) -> Self {
        match refused {
            Refused::Full => Self::Busy,
            Refused::Failed(error) => Self::Together(error),
            Refused::Late => Self::Database(database::no_answer()),
            Refused::Lost => {
                Self::Corrupt { what: "a batch of reservations".to_owned(), detail: "writing it panicked".to_owned() }
            }
        }
    }
}

impl From<InventoryError> for Status {
    fn from(error: InventoryError) -> Self {
        rpc::status(error.code(), error.detail())
    }
}

/// What a failure means for the letter that was being handled: an outage is no fault of the letter.
impl From<InventoryError> for HandlerError {
    fn from(error: InventoryError) -> Self {
        match error {
            InventoryError::Database(error) | InventoryError::Outbox(outbox::Error::Database(error)) => error.into(),
            InventoryError::Raced => Self::Retry(InventoryError::Raced.into()),
            other => Self::Reject(other.into()),
        }
    }
}
