//! The settings of analytics. Each is an environment variable and a flag of the same name.

use std::net::SocketAddr;

use clap::Args;
use service_runtime::config::{DatabaseConfig, KafkaConfig, OpsConfig, TlsConfig};

use crate::high_value::Threshold;

/// Everything that `analytics serve` can be told.
#[derive(Debug, Clone, Args)]
#[command(mut_arg("ops_addr", |arg| arg.default_value("127.0.0.1:9057").required(false)))]
pub struct Config {
    /// Address that calls are answered on.
    #[arg(long, env = "LISTEN_ADDR", default_value = "127.0.0.1:50057")]
    pub listen_addr: SocketAddr,

    /// How services speak with each other.
    #[command(flatten)]
    pub tls: TlsConfig,

    /// Where the ops endpoints are.
    #[command(flatten)]
    pub ops: OpsConfig,

    /// The database of analytics.
    #[command(flatten)]
    pub database: DatabaseConfig,

    /// The brokers.
    #[command(flatten)]
    pub kafka: KafkaConfig,

    /// From which total on an order is of high value: minor units, and other numbers for some currencies.
    #[arg(long, env = "HIGH_VALUE_FROM_MINOR", default_value = "50000")]
    pub high_value_from_minor: Threshold,
}
