//! What can go wrong, and how it is told to the caller.

use std::borrow::Cow;

use contracts::problem::ProblemCode;
use tokio::task::JoinError;
use tonic::Status;
use tracing::{error, warn};

/// Why a use case did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// A field of the request breaks its rule.
    #[error("{field} {rule}")]
    Invalid {
        /// The field's name.
        field: &'static str,
        /// What it must be.
        rule: String,
    },
    /// Someone has an account with this email.
    #[error("this email has an account")]
    EmailTaken,
    /// Which of the two is wrong is not told, so that nobody can ask who has an account.
    #[error("the email or the password is wrong")]
    WrongCredentials,
    /// There is no account with this id.
    #[error("there is no such account")]
    NoSuchAccount,
    /// There was an account with this id, and its person is forgotten.
    #[error("the account was erased")]
    Erased,
    /// Operators are made, and taken away, by whoever may reach the database.
    #[error("an operator's account is not erased like a customer's")]
    NotOfOperators,
    /// More passwords wait to be hashed than may.
    #[error("too many people are asking, try again")]
    Busy,
    /// The database refused or did not answer.
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    /// A letter could not be written.
    #[error("the outbox: {0}")]
    Outbox(outbox::Error),
    /// The database holds what it should not.
    #[error("a row of {0} cannot be read")]
    BrokenRow(&'static str),
    /// A hash ended in a panic.
    #[error("hashing: {0}")]
    Panicked(JoinError),
}

impl AccountsError {
    /// The problem that the outside is told.
    pub fn code(&self) -> ProblemCode {
        match self {
            Self::Invalid { .. } => ProblemCode::Invalid,
            Self::EmailTaken => ProblemCode::EmailTaken,
            Self::WrongCredentials => ProblemCode::WrongCredentials,
            Self::NoSuchAccount | Self::Erased => ProblemCode::NotFound,
            Self::NotOfOperators => ProblemCode::Forbidden,
            Self::Busy => ProblemCode::Unavailable,
            Self::Database(error) if is_outage(error) => ProblemCode::Unavailable,
            Self::Database(_) | Self::Outbox(_) | Self::BrokenRow(_) | Self::Panicked(_) => ProblemCode::Internal,
        }
    }
}

impl From<outbox::Error> for AccountsError {
    fn from(error: outbox::Error) -> Self {
        match error {
            outbox::Error::Database(error) => Self::Database(error),
            other => Self::Outbox(other),
        }
    }
}

impl From<AccountsError> for Status {
    /// The one place where what happened inside is logged instead of told.
    fn from(failure: AccountsError) -> Self {
        let code = failure.code();
        match (&failure, code) {
            (_, ProblemCode::Internal) => {
                error!(error = %failure, "a call failed");
                rpc::status(code, "a fault of ours")
            }
            (AccountsError::Database(_), _) => {
                warn!(error = %failure, "the database does not serve");
                rpc::status(code, "the database does not answer, try again")
            }
            _ => rpc::status(code, failure.to_string()),
        }
    }
}

/// Whether the same statement may work a little later: no connection, or the server is going down, overloaded or
/// resolving a conflict (SQLSTATE classes 08, 40, 53, 57 and lock timeouts).
fn is_outage(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => true,
        sqlx::Error::Database(told) => {
            let state = told.code().unwrap_or(Cow::Borrowed(""));
            ["08", "40", "53", "57", "55P03"].iter().any(|class| state.starts_with(class))
        }
        _ => false,
    }
}
