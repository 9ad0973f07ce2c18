//! How a service process ends when it cannot go on.

use std::process::ExitCode;

/// Why a service process cannot start or go on. Each message is one line that names the thing and its cure.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting is missing or wrong. Exit code 64.
    #[error("{0}")]
    Config(String),
    /// Something that must be there to start is not. Exit code 69.
    #[error("{0}")]
    Unreachable(String),
    /// Something is in the way that may go away. Exit code 75.
    #[error("{0}")]
    TryAgain(String),
    /// Anything else. Exit code 1.
    #[error(transparent)]
    Other(#[from] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// An error of no special kind, with what was being done.
    pub fn other(doing: &str, error: impl std::fmt::Display) -> Self {
        Self::Other(format!("{doing}: {error}").into())
    }

    /// The exit code, as `sysexits.h` names them.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Config(_) => 64,
            Self::Unreachable(_) => 69,
            Self::TryAgain(_) => 75,
            Self::Other(_) => 1,
        })
    }
}
