//! The settings of shipping. Each is an environment variable and a flag of the same name.

use std::{net::SocketAddr, time::Duration};

use clap::Args;
use service_runtime::config::{DatabaseConfig, KafkaConfig, OpsConfig, TlsConfig};

/// Everything that `shipping serve` can be told.
#[derive(Debug, Clone, Args)]
#[command(mut_arg("ops_addr", |arg| arg.default_value("127.0.0.1:9055").required(false)))]
pub struct Config {
    /// Address that calls are answered on.
    #[arg(long, env = "LISTEN_ADDR", default_value = "127.0.0.1:50055")]
    pub listen_addr: SocketAddr,

    /// Where accounts answers.
    #[arg(long, env = "ACCOUNTS_URL", default_value = "http://127.0.0.1:50051")]
    pub accounts_url: String,

    /// How long a parcel is prepared before it is dispatched by itself, in seconds; it is delivered as long after.
    #[arg(long, env = "DISPATCH_AFTER", default_value = "60", value_parser = clap::value_parser!(u32).range(1..=31_536_000))]
    pub dispatch_after: u32,

    /// How services speak with each other.
    #[command(flatten)]
    pub tls: TlsConfig,

    /// Where the ops endpoints are.
    #[command(flatten)]
    pub ops: OpsConfig,

    /// The database of shipping.
    #[command(flatten)]
    pub database: DatabaseConfig,

    /// The brokers.
    #[command(flatten)]
    pub kafka: KafkaConfig,
}

impl Config {
    /// How long a parcel is prepared, and how long it then travels.
    pub fn dispatch_after(&self) -> Duration {
        Duration::from_secs(self.dispatch_after.into())
    }
}
