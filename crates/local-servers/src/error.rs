//! What can go wrong, each with its cure.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why a local server could not be fetched, started or spoken to. Displays as one line that names the thing and its
/// cure.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program that must be installed is not on `PATH`.
    #[error("{program} not found: {cure}")]
    Missing {
        /// The program, as it is called.
        program: &'static str,
        /// What to do about it.
        cure: &'static str,
    },
    /// A program that must be installed is there in an older version.
    #[error("{program} is version {found}, but {needed} or newer is needed: {cure}")]
    TooOld {
        /// The program, as it is called.
        program: &'static str,
        /// Its major version.
        found: u32,
        /// The lowest major version that will do.
        needed: u32,
        /// What to do about it.
        cure: &'static str,
    },
    /// There are no PostgreSQL binaries for this machine.
    #[error("no PostgreSQL binaries are published for {os} on {arch}: use Linux or macOS on x86-64 or arm64")]
    Platform {
        /// The operating system.
        os: &'static str,
        /// The processor architecture.
        arch: &'static str,
    },
    /// Maven could not fetch what the pom names.
    #[error("mvn could not fetch Kafka and PostgreSQL ({reason}): check the network and Maven's settings.xml")]
    Fetch {
        /// The first error that Maven printed.
        reason: String,
    },
    /// A fetched archive does not hold what it should.
    #[error("{} cannot be unpacked ({reason}): delete its folder, so that it is fetched again", archive.display())]
    Unpack {
        /// The archive.
        archive: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Another program listens on a port that a server needs.
    #[error("port {port} is in use, and {needed_by} needs it: stop what listens there, or choose other ports")]
    PortInUse {
        /// The port, on 127.0.0.1.
        port: u16,
        /// Who needs it.
        needed_by: String,
    },
    /// No free ports were found.
    #[error("no {count} free ports in a row were found between {} and {}: stop something that listens there", range.0, range.1)]
    NoFreePorts {
        /// How many were wanted.
        count: u16,
        /// Where they were looked for.
        range: (u16, u16),
    },
    /// PostgreSQL refuses to run as root, and the account that it runs under instead cannot reach the folder.
    #[error("user {user}, who runs PostgreSQL because root may not, cannot enter {}: choose a folder outside it", dir.display())]
    Unreachable {
        /// The account.
        user: String,
        /// The outermost folder that it cannot enter.
        dir: PathBuf,
    },
    /// The data folder was made for another number of brokers.
    #[error("{} holds {found} Kafka brokers, not {wanted}: start with {found}, or choose another data folder", data.display())]
    BrokerCount {
        /// Kafka's data folder.
        data: PathBuf,
        /// The number of brokers that it holds.
        found: u16,
        /// The number of brokers that was asked for.
        wanted: u16,
    },
    /// A server ended although nobody asked it to.
    #[error("{name} ended by itself ({status}): {last_line} (all of it: {})", log.display())]
    Ended {
        /// The server.
        name: String,
        /// Its exit status.
        status: String,
        /// The last line that it logged.
        last_line: String,
        /// Its log.
        log: PathBuf,
    },
    /// A server runs but does not answer.
    #[error("{name} did not answer within {} s: see {}", waited.as_secs(), log.display())]
    NotReady {
        /// The server.
        name: String,
        /// How long it was waited for.
        waited: Duration,
        /// Its log.
        log: PathBuf,
    },
    /// The file system refused.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// A verb.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The refusal.
        source: std::io::Error,
    },
    /// PostgreSQL refused.
    #[error("PostgreSQL could not {doing}: {source}")]
    Sql {
        /// What it was asked to do.
        doing: String,
        /// The refusal.
        source: sqlx::Error,
    },
    /// Kafka refused.
    #[error("Kafka could not {doing}: {reason}")]
    Kafka {
        /// What it was asked to do.
        doing: String,
        /// The refusal.
        reason: String,
    },
}

impl Error {
    /// For `map_err`: the file system refused to do `doing` to `path`.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }

    /// For `map_err`: PostgreSQL refused to do `doing`.
    pub(crate) fn sql(doing: impl Into<String>) -> impl FnOnce(sqlx::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Sql { doing, source }
    }
}
