//! The command line. Each flag is also an environment variable of the same name.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use fail_over::FailOverConfig;
use service_runtime::config::{DatabaseConfig, KafkaConfig, MigrateConfig, TlsConfig};

/// `accounts <command>`.
#[derive(Debug, Parser)]
#[command(version, about = "People, passwords and tokens")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the process does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serves until SIGTERM or SIGINT.
    Serve(ServeConfig),
    /// Brings the database to the shape that this version expects.
    Migrate(MigrateConfig),
    /// Lets the service go on with another Kafka when the first is lost, as the owner of the database.
    FailOver(FailOverConfig),
    /// Makes the accounts that a profile begins with; those that exist stay as they are.
    Seed(SeedConfig),
    /// Makes an operator's account. The password is read from standard input.
    CreateOperator(CreateOperatorConfig),
}

/// Settings of `accounts serve`.
#[derive(Debug, Args)]
pub struct ServeConfig {
    /// Address of the gRPC interface.
    #[arg(long, env = "LISTEN_ADDR", default_value = "127.0.0.1:50051")]
    pub listen_addr: SocketAddr,

    /// Address of `/livez`, `/readyz` and `/metrics`.
    #[arg(long, env = "OPS_ADDR", default_value = "127.0.0.1:9051")]
    pub ops_addr: SocketAddr,

    /// How services speak with each other.
    #[command(flatten)]
    pub tls: TlsConfig,

    /// The database.
    #[command(flatten)]
    pub database: DatabaseConfig,

    /// The brokers.
    #[command(flatten)]
    pub kafka: KafkaConfig,

    /// The Ed25519 key that tokens are signed with: PKCS#8, PEM. Keys behind it in the file, private or public, are told to those who
    /// verify tokens and sign none.
    #[arg(long, env = "ACCOUNTS_SIGNING_KEY_FILE")]
    pub accounts_signing_key_file: PathBuf,
}

/// Settings of `accounts seed`.
#[derive(Debug, Args)]
pub struct SeedConfig {
    /// Which profile.
    pub profile: Profile,

    /// The database.
    #[command(flatten)]
    pub database: DatabaseConfig,
}

/// Whose accounts to make. Both begin with one operator.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Profile {
    /// For looking around.
    Demo,
    /// For measuring.
    Bench,
}

/// Settings of `accounts create-operator`.
#[derive(Debug, Args)]
pub struct CreateOperatorConfig {
    /// The operator's email.
    #[arg(long)]
    pub email: String,

    /// The operator's name.
    #[arg(long, default_value = "Operator")]
    pub name: String,

    /// The database.
    #[command(flatten)]
    pub database: DatabaseConfig,
}
