//! Settings that services share. Each is an environment variable and a flag of the same name.
//!
//! A service flattens the groups that it needs into its own `Config`. Its ports are its own, so the groups with an
//! address have no default here: the service names it.

use std::{net::SocketAddr, time::Duration};

use clap::Args;
use secrecy::SecretString;

/// Where `/livez`, `/readyz` and `/metrics` are served. Never public.
#[derive(Debug, Clone, Args)]
pub struct OpsConfig {
    /// Address of the ops endpoints.
    #[arg(long, env = "OPS_ADDR")]
    pub ops_addr: SocketAddr,
}

/// How services speak with each other.
#[derive(Debug, Clone, Default, Args)]
pub struct TlsConfig {
    /// Folder with `tls.crt`, `tls.key` and `ca.crt`, by which calls between services are made and answered; empty: in the
    /// clear. Changed files are taken up without a restart.
    #[arg(long, env = "TLS_DIR", default_value = "")]
    pub tls_dir: String,
}

/// The database that the service serves from, as the login that may not change tables.
#[derive(Debug, Clone, Args)]
pub struct DatabaseConfig {
    /// `postgres://user:password@host:port/database`.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: SecretString,

    /// The most connections of the pool. Beside it each batcher, consumer group and queue of work keeps one ([`crate::KeptConnection`]).
    #[arg(long, env = "DATABASE_CONNECTIONS", default_value = "8", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub database_connections: u32,

    /// How long a request waits for a free connection before it is shed, in milliseconds.
    #[arg(long, env = "DATABASE_ACQUIRE_TIMEOUT_MS", default_value = "1000", value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub database_acquire_timeout_ms: u64,
}

impl DatabaseConfig {
    /// How long a request waits for a free connection.
    pub const fn acquire_timeout(&self) -> Duration {
        Duration::from_millis(self.database_acquire_timeout_ms)
    }
}

/// The database that `migrate` changes, as the role that owns it.
#[derive(Debug, Clone, Args)]
pub struct MigrateConfig {
    /// `postgres://owner:password@host:port/database`.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: SecretString,
}

/// What is written at the same time may share a commit.
#[derive(Debug, Clone, Copy, Args)]
pub struct BatchConfig {
    /// The most requests that share a commit; 1: each has one of its own, and several are written at the same time.
    #[arg(long, env = "BATCH_REQUESTS_MAX", default_value = "400", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub batch_requests_max: u16,
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self { batch_requests_max: 400 }
    }
}

/// The brokers.
#[derive(Debug, Clone, Args)]
pub struct KafkaConfig {
    /// `host:port`, several separated by commas.
    #[arg(long, env = "KAFKA_BOOTSTRAP_SERVERS", default_value = "127.0.0.1:19092")]
    pub kafka_bootstrap_servers: String,

    /// Put before each topic and consumer group, so that two platforms can share a cluster.
    #[arg(long, env = "KAFKA_NAMESPACE", default_value = "")]
    pub kafka_namespace: String,
}

impl KafkaConfig {
    /// The name of a topic, a group or a producer on the wire: in the namespace.
    pub fn on_the_wire(&self, name: &str) -> String {
        format!("{}{name}", self.kafka_namespace)
    }
}
