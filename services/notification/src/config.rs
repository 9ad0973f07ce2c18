//! The settings of notification. Each is an environment variable and a flag of the same name.

use std::net::SocketAddr;

use clap::Args;
use lettre::message::Mailbox;
use secrecy::SecretString;
use service_runtime::config::{DatabaseConfig, KafkaConfig, OpsConfig, TlsConfig};

/// Everything that `notification serve` can be told.
#[derive(Debug, Clone, Args)]
#[command(mut_arg("ops_addr", |arg| arg.default_value("127.0.0.1:9056").required(false)))]
pub struct Config {
    /// Address that calls are answered on.
    #[arg(long, env = "LISTEN_ADDR", default_value = "127.0.0.1:50056")]
    pub listen_addr: SocketAddr,

    /// Where accounts answers.
    #[arg(long, env = "ACCOUNTS_URL", default_value = "http://127.0.0.1:50051")]
    pub accounts_url: String,

    /// The mail server: `smtps://user:password@host`, `smtp://user:password@host?tls=required` (STARTTLS), or `smtp://host` (in
    /// the clear). Without it no mail leaves: each message is a line in the log.
    #[arg(long, env = "SMTP_URL", hide_env_values = true, requires = "smtp_from")]
    pub smtp_url: Option<SecretString>,

    /// Whom mail comes from, like `Postbox <post@example.com>`.
    #[arg(long, env = "SMTP_FROM")]
    pub smtp_from: Option<Mailbox>,

    /// How services speak with each other.
    #[command(flatten)]
    pub tls: TlsConfig,

    /// Where the ops endpoints are.
    #[command(flatten)]
    pub ops: OpsConfig,

    /// The database of notification.
    #[command(flatten)]
    pub database: DatabaseConfig,

    /// The brokers.
    #[command(flatten)]
    pub kafka: KafkaConfig,
}
