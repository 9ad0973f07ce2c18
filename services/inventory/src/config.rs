//! The settings of inventory. Each is an environment variable and a flag of the same name.

use std::net::SocketAddr;

use clap::Args;
use service_runtime::config::{BatchConfig, DatabaseConfig, KafkaConfig, OpsConfig, TlsConfig};

/// Everything that `inventory serve` can be told.
#[derive(Debug, Clone, Args)]
#[command(mut_arg("ops_addr", |arg| arg.default_value("127.0.0.1:9053").required(false)))]
pub struct Config {
    /// Address that calls are answered on.
    #[arg(long, env = "LISTEN_ADDR", default_value = "127.0.0.1:50053")]
    pub listen_addr: SocketAddr,

    /// How services speak with each other.
    #[command(flatten)]
    pub tls: TlsConfig,

    /// Where the ops endpoints are.
    #[command(flatten)]
    pub ops: OpsConfig,

    /// The database of inventory.
    #[command(flatten)]
    pub database: DatabaseConfig,

    /// How many share a commit.
    #[command(flatten)]
    pub batches: BatchConfig,

    /// The brokers.
    #[command(flatten)]
    pub kafka: KafkaConfig,
}
