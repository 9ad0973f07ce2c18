//! Servers of a test's own, for tests that stop, kill and restart them. They start in about three seconds, so tests that
//! do not should use the shared ones.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use local_servers::kafka::Compiler;
use local_servers::{Distribution, Error, Kafka, KafkaOptions, Postgres, PostgresOptions, ports};
use nix::sys::statvfs::statvfs;
use tempfile::TempDir;

use crate::TestKafka;

/// A file system in memory, where there is one.
const MEMORY: &str = "/dev/shm";

/// Well above the 5 GiB or so that a whole run of tests needs.
const IN_MEMORY_BYTES_MIN: u64 = 8 << 30;

/// A Kafka cluster of the test's own; dropping it kills it and deletes its data. On Linux it also ends with the thread that
/// started it, so it cannot be shared between tests.
#[derive(Debug)]
pub struct OwnKafka {
    /// To stop, kill and start it.
    pub server: Kafka,
    /// Where it is, with an empty namespace.
    pub kafka: TestKafka,
    // after the server: fields drop in their order
    _data: TempDir,
}

impl OwnKafka {
    /// Starts a cluster of 1 or 3 brokers on free ports.
    pub async fn start(brokers: u16) -> Result<Self, Error> {
        let distribution = Distribution::fetch().await?;
        let data = temporary_folder();
        let port = ports::free_run(2 * brokers)?;
        let options = KafkaOptions {
            data: data.path().join("kafka"),
            brokers,
            port,
            controller_port: port + brokers,
            compiler: Compiler::QuickStart,
        };
        let mut server = Kafka::prepare(&distribution, &options).await?;
        server.start().await?;
        let kafka = TestKafka { bootstrap: server.bootstrap(), namespace: String::new() };
        Ok(Self { server, kafka, _data: data })
    }
}

/// A PostgreSQL server of the test's own; dropping it kills it and deletes its data. On Linux it also ends with the thread
/// that started it, so it cannot be shared between tests.
#[derive(Debug)]
pub struct OwnPostgres {
    /// To stop, kill and start it. Make databases on it with [`local_servers::provision`].
    pub server: Postgres,
    /// Whether its data is in memory.
    pub is_in_memory: bool,
    // after the server: fields drop in their order
    _data: TempDir,
}

impl OwnPostgres {
    /// Starts a server on a free port.
    pub async fn start() -> Result<Self, Error> {
        let distribution = Distribution::fetch().await?;
        let data = temporary_folder();
        let options = PostgresOptions { data: data.path().join("postgres"), port: ports::free_run(1)? };
        let mut server = Postgres::prepare(&distribution, options).await?;
        server.start().await?;
        Ok(Self { server, is_in_memory: data.path().starts_with(MEMORY), _data: data })
    }
}

/// [`OwnKafka::start`] for tests: panics when it fails.
pub async fn own_kafka(brokers: u16) -> OwnKafka {
    OwnKafka::start(brokers).await.unwrap_or_else(|error| panic!("{error}"))
}

/// [`OwnPostgres::start`] for tests: panics when it fails.
pub async fn own_postgres() -> OwnPostgres {
    OwnPostgres::start().await.unwrap_or_else(|error| panic!("{error}"))
}

/// In memory where there is much of it: a run of tests makes hundreds of databases, and some disks take a minute to delete
/// them. What the tests ask of a server (to survive being killed, not a power cut) does not depend on the disk.
///
/// Open to the account that PostgreSQL runs under when the tests run as root.
fn temporary_folder() -> TempDir {
    let everybody = std::fs::Permissions::from_mode(0o755);
    let in_memory = Path::new(MEMORY);
    let folder = if free_bytes(in_memory) >= IN_MEMORY_BYTES_MIN { in_memory.to_owned() } else { std::env::temp_dir() };
    let folder = tempfile::Builder::new().prefix("postbox-servers-").permissions(everybody).tempdir_in(folder);
    folder.expect("a temporary folder can be made")
}

/// Free bytes of the file system that holds `folder`; none when there is no such folder.
fn free_bytes(folder: &Path) -> u64 {
    statvfs(folder).map_or(0, |stat| stat.blocks_available() * stat.fragment_size())
}
