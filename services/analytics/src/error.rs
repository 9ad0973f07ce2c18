//! What can go wrong in analytics, and how it is told.

use contracts::problem::ProblemCode;
use sqlx::error::DatabaseError;
use tonic::Status;
use tracing::warn;

/// Why a call was not served.
#[derive(Debug, thiserror::Error)]
pub enum AnalyticsError {
    /// A field of the request is wrong.
    #[error("{field}: {detail}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// The sum of what was asked for is more than a 64-bit number holds, though each of its parts is not.
    #[error("from: the sum does not fit into 64 bits; ask for a shorter span, or for smaller windows")]
    SumTooLarge,
    /// As many watch sales as this process can serve.
    #[error("too many watch sales at this time; try again in a moment")]
    TooManyWatches,
    /// The database is away or refused.
    #[error("the database of analytics: {0}")]
    Database(sqlx::Error),
}

impl AnalyticsError {
    /// A field that is not what it should be.
    pub(crate) fn invalid(field: &'static str, detail: impl Into<String>) -> Self {
        Self::Invalid { field, detail: detail.into() }
    }

    /// The word that the outside is told.
    pub const fn code(&self) -> ProblemCode {
        match self {
            Self::Invalid { .. } | Self::SumTooLarge => ProblemCode::Invalid,
            Self::Database(_) | Self::TooManyWatches => ProblemCode::Unavailable,
        }
    }

    /// What the outside is told beside the word. What happened inside goes to the log, here and only here.
    pub fn detail(&self) -> String {
        match self {
            Self::Invalid { .. } | Self::SumTooLarge | Self::TooManyWatches => self.to_string(),
            Self::Database(_) => {
                warn!("{self}");
                "analytics cannot reach its database; try again".to_owned()
            }
        }
    }
}

impl From<sqlx::Error> for AnalyticsError {
    fn from(error: sqlx::Error) -> Self {
        match error.as_database_error().and_then(DatabaseError::code).as_deref() {
            // SQLSTATE 22003: numeric value out of range
            Some("22003") => Self::SumTooLarge,
            _ => Self::Database(error),
        }
    }
}

impl From<AnalyticsError> for Status {
    fn from(error: AnalyticsError) -> Self {
        rpc::status(error.code(), error.detail())
    }
}
