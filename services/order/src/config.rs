//! The settings of order. Each is an environment variable and a flag of the same name.

use std::net::SocketAddr;

use clap::Args;
use service_runtime::config::{DatabaseConfig, KafkaConfig, OpsConfig};

/// Everything that `order serve` can be told.
#[derive(Debug, Clone, Args)]
#[command(mut_arg("ops_addr", |arg| arg.default_value("127.0.0.1:9052").required(false)))]
pub struct Config {
    /// Address that calls are answered on.
    #[arg(long, env = "LISTEN_ADDR", default_value = "127.0.0.1:50052")]
    pub listen_addr: SocketAddr,

    /// Where inventory answers.
    #[arg(long, env = "INVENTORY_URL", default_value = "http://127.0.0.1:50053")]
    pub inventory_url: String,

    /// Where payment answers.
    #[arg(long, env = "PAYMENT_URL", default_value = "http://127.0.0.1:50054")]
    pub payment_url: String,

    /// Where the ops endpoints are.
    #[command(flatten)]
    pub ops: OpsConfig,

    /// The database of order.
    #[command(flatten)]
    pub database: DatabaseConfig,

    /// The brokers.
    #[command(flatten)]
    pub kafka: KafkaConfig,
}
