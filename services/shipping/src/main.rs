//! The shipping process.

use std::process::ExitCode;

use clap::Parser;
use consumer::replay::{self, ReplayConfig};
use fail_over::FailOverConfig;
use service_runtime::{Error, Shutdown, config::MigrateConfig, database};
use shipping::Config;

/// Shipments of completed orders.
#[derive(Debug, Parser)]
#[command(name = "shipping")]
enum Cli {
    /// Brings the database to the shape that this version expects, as its owner.
    Migrate(MigrateConfig),
    /// Answers calls, reads letters and sends parcels on their way.
    Serve(Config),
    /// Gives a consumer group its letters again, as the owner of the database.
    Replay(ReplayConfig),
    /// Lets the service go on with another Kafka when the first is lost, as the owner of the database.
    FailOver(FailOverConfig),
}

fn main() -> ExitCode {
    service_runtime::start("shipping", run)
}

async fn run(cli: Cli, shutdown: Shutdown) -> Result<(), Error> {
    match cli {
        Cli::Migrate(config) => database::migrate(&config, &shipping::MIGRATORS).await,
        Cli::Serve(config) => shipping::run(config, shutdown).await,
        Cli::FailOver(config) => fail_over::run(config, "shipping").await,
        Cli::Replay(config) => replay::run(config, "shipping", shipping::consumers::handlers, &shutdown).await,
    }
}
