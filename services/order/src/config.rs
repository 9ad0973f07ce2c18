//! The settings of order. Each is an environment variable and a flag of the same name.

use std::net::SocketAddr;

use clap::Args;
use service_runtime::config::{BatchConfig, DatabaseConfig, KafkaConfig, OpsConfig, TlsConfig};

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

    /// Where shipping answers.
    #[arg(long, env = "SHIPPING_URL", default_value = "http://127.0.0.1:50055")]
    pub shipping_url: String,

    /// How long an order by letter may take to be decided, in seconds, before it is unwound.
    #[arg(long, env = "DECIDE_LETTERS_WITHIN", default_value = "86400", value_parser = clap::value_parser!(u32).range(1..=2_592_000))]
    pub decide_letters_within: u32,

    /// How services speak with each other.
    #[command(flatten)]
    pub tls: TlsConfig,

    /// Where the ops endpoints are.
    #[command(flatten)]
    pub ops: OpsConfig,

    /// The database of order.
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

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        config: Config,
    }

    #[test]
    fn an_order_by_letter_has_a_day_unless_it_is_set_otherwise() {
        let within = |arguments: &[&str]| {
            let required = ["order", "--database-url", "postgres://app@localhost/orders"];
            Cli::try_parse_from(required.iter().chain(arguments)).map(|cli| cli.config.decide_letters_within)
        };
        assert_eq!(within(&[]).ok(), Some(24 * 60 * 60));
        assert_eq!(within(&["--decide-letters-within", "60"]).ok(), Some(60));
        assert!(within(&["--decide-letters-within", "0"]).is_err());
    }
}
