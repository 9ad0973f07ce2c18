//! Where a platform is built: on which servers, and from which programs.

use std::path::{Path, PathBuf};

use testkit::{OwnKafka, OwnPostgres, TestKafka};

/// Servers and programs for one platform.
#[derive(Debug, Clone)]
pub struct Site {
    /// The brokers, and the platform's namespace on them.
    pub kafka: TestKafka,
    /// How many brokers there are; each topic has as many replicas.
    pub brokers: u16,
    /// The superuser's URL of the PostgreSQL server.
    pub postgres_url: String,
    /// What the names of the databases begin with. Empty on a server that nobody else uses.
    pub database_prefix: String,
    /// The folder with the services' programs.
    pub programs: PathBuf,
    /// Database connections of each service.
    pub connections: u8,
}

impl Site {
    /// The PostgreSQL server that a run of tests shares, with databases that no other test uses, and these brokers.
    pub fn shared(kafka: TestKafka) -> Self {
        let namespace = if kafka.namespace.is_empty() { testkit::kafka().namespace } else { kafka.namespace.clone() };
        Self {
            kafka,
            brokers: 1,
            postgres_url: std::env::var("TEST_POSTGRES_URL").expect("testkit has seen it"),
            database_prefix: namespace.replace(['.', '-'], "_"),
            programs: programs(),
            // few tests need many; all platforms of a run share one server
            connections: 4,
        }
    }

    /// Servers that nobody else uses, and as many connections as services have by default.
    pub fn own(postgres: &OwnPostgres, kafka: &OwnKafka, programs: &Path) -> Self {
        Self {
            kafka: kafka.kafka.clone(),
            brokers: u16::try_from(kafka.server.launches().len()).expect("few brokers"),
            postgres_url: postgres.server.superuser_url(),
            database_prefix: String::new(),
            programs: programs.to_owned(),
            connections: 8,
        }
    }

    /// The file of a program.
    pub fn program(&self, name: &str) -> PathBuf {
        let program = self.programs.join(name);
        assert!(program.is_file(), "{} is not built: run `cargo build --workspace --bins`", program.display());
        program
    }
}

/// The folder of the programs that were built along with the running one, test or not.
pub fn programs() -> PathBuf {
    let this = std::env::current_exe().expect("a program runs from a file");
    let folder = this.parent().expect("a file lies in a folder");
    // a test lies in target/<profile>/deps
    if folder.ends_with("deps") { folder.parent().expect("it lies in target").to_owned() } else { folder.to_owned() }
}
