//! The notification process.

use std::process::ExitCode;

use clap::Parser;
use consumer::replay::{self, ReplayConfig};
use fail_over::FailOverConfig;
use notification::Config;
use service_runtime::{Error, Shutdown, config::MigrateConfig, database};

/// What customers are told.
#[derive(Debug, Parser)]
#[command(name = "notification")]
enum Cli {
    /// Brings the database to the shape that this version expects, as its owner.
    Migrate(MigrateConfig),
    /// Reads letters, sends messages and lists them.
    Serve(Box<Config>),
    /// Gives a consumer group its letters again, as the owner of the database.
    Replay(ReplayConfig),
    /// Lets the service go on with another Kafka when the first is lost, as the owner of the database.
    FailOver(FailOverConfig),
}

fn main() -> ExitCode {
    service_runtime::start("notification", run)
}

async fn run(cli: Cli, shutdown: Shutdown) -> Result<(), Error> {
    match cli {
        Cli::Migrate(config) => database::migrate(&config, &notification::MIGRATORS).await,
        Cli::Serve(config) => notification::run(*config, shutdown).await,
        Cli::FailOver(config) => fail_over::run(config, "notification").await,
        Cli::Replay(config) => replay::run(config, "notification", notification::consumers::handlers, &shutdown).await,
    }
}
