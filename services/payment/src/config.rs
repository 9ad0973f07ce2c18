//! The settings of payment. Each is an environment variable and a flag of the same name.

use std::net::SocketAddr;

use clap::Args;
use service_runtime::config::{BatchConfig, DatabaseConfig, KafkaConfig, OpsConfig, TlsConfig};

/// Everything that `payment serve` can be told.
#[derive(Debug, Clone, Args)]
#[command(mut_arg("ops_addr", |arg| arg.default_value("127.0.0.1:9054").required(false)))]
pub struct Config {
    /// Address that calls are answered on.
    #[arg(long, env = "LISTEN_ADDR", default_value = "127.0.0.1:50054")]
    pub listen_addr: SocketAddr,

    /// Where the card network answers; HTTP/2 without TLS.
    #[arg(long, env = "PSP_URL", default_value = "http://127.0.0.1:50060")]
    pub psp_url: String,

    /// Where order answers.
    #[arg(long, env = "ORDER_URL", default_value = "http://127.0.0.1:50052")]
    pub order_url: String,

    /// How services speak with each other.
    #[command(flatten)]
    pub tls: TlsConfig,

    /// Where the ops endpoints are.
    #[command(flatten)]
    pub ops: OpsConfig,

    /// The database of payment.
    #[command(flatten)]
    pub database: DatabaseConfig,

    /// How many share a commit.
    #[command(flatten)]
    pub batches: BatchConfig,

    /// The brokers.
    #[command(flatten)]
    pub kafka: KafkaConfig,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        config: Config,
    }

    #[test]
    fn only_the_database_must_be_named() {
        let cli = Cli::try_parse_from(["payment", "--database-url", "postgres://localhost/payments"]).unwrap();
        assert_eq!(cli.config.ops.ops_addr.port(), 9054);
    }
}
