//! Why a command failed, and the exit code that says so.

use std::process::ExitCode;

/// One line for the user that names the thing and its cure, and a kind that becomes the exit code.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    kind: Kind,
    message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Found = 1,
    Usage = 64,
    Unreachable = 69,
    TryAgain = 75,
}

impl Failure {
    /// The command worked and found something wrong: 1.
    pub fn found(message: impl Into<String>) -> Self {
        Self { kind: Kind::Found, message: message.into() }
    }

    /// The command or the configuration is wrong: 64.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { kind: Kind::Usage, message: message.into() }
    }

    /// Something that is needed is not there: 69.
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self { kind: Kind::Unreachable, message: message.into() }
    }

    /// Something is in the way that may go away: 75.
    pub fn try_again(message: impl Into<String>) -> Self {
        Self { kind: Kind::TryAgain, message: message.into() }
    }

    /// For `map_err`: the file system refused to do `doing` to `path`.
    pub fn io(doing: &str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self::unreachable(format!("cannot {doing} {}: {error}", path.display()))
    }

    /// Whether the same may work a moment later.
    pub fn is_worth_another_try(&self) -> bool {
        matches!(self.kind, Kind::TryAgain | Kind::Unreachable)
    }

    /// The code that tells the shell.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.kind as u8)
    }
}

impl From<local_servers::Error> for Failure {
    fn from(error: local_servers::Error) -> Self {
        use local_servers::Error as E;
        let message = error.to_string();
        match error {
            E::PortInUse { .. } | E::NoFreePorts { .. } => Self::try_again(message),
            E::BrokerCount { .. } | E::Unreachable { .. } => Self::usage(message),
            E::Missing { .. }
            | E::TooOld { .. }
            | E::Platform { .. }
            | E::Fetch { .. }
            | E::Unpack { .. }
            | E::Ended { .. }
            | E::NotReady { .. }
            | E::Io { .. }
            | E::Sql { .. }
            | E::Kafka { .. } => Self::unreachable(message),
        }
    }
}
