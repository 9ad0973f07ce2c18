//! What can go wrong with a call, and how it is told.

use contracts::problem::ProblemCode;
use tonic::Status;
use tracing::warn;

/// Why a call was not served.
#[derive(Debug, thiserror::Error)]
pub enum NotificationError {
    /// A field of the request is wrong.
    #[error("{field}: {detail}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// The database is away or refused.
    #[error("the database of notification: {0}")]
    Database(#[from] sqlx::Error),
}

impl NotificationError {
    /// The word that the outside is told.
    pub const fn code(&self) -> ProblemCode {
        match self {
            Self::Invalid { .. } => ProblemCode::Invalid,
            Self::Database(_) => ProblemCode::Unavailable,
        }
    }

    /// What the outside is told beside the word. What happened inside goes to the log, here and only here.
    pub fn detail(&self) -> String {
        match self {
            Self::Invalid { .. } => self.to_string(),
            Self::Database(_) => {
                warn!("{self}");
                "notification cannot reach its database; try again".to_owned()
            }
        }
    }

    /// A field that is not what it should be.
    pub(crate) fn invalid(field: &'static str, detail: impl Into<String>) -> Self {
        Self::Invalid { field, detail: detail.into() }
    }
}

impl From<NotificationError> for Status {
    fn from(error: NotificationError) -> Self {
        rpc::status(error.code(), error.detail())
    }
}
