//! The analytics process.

use std::process::ExitCode;

use analytics::Config;
use clap::Parser;
use consumer::replay::{self, ReplayConfig};
use fail_over::FailOverConfig;
use service_runtime::{Error, Shutdown, config::MigrateConfig, database};

/// What the letters add up to.
#[derive(Debug, Parser)]
#[command(name = "analytics")]
enum Cli {
    /// Brings the database to the shape that this version expects, as its owner.
    Migrate(MigrateConfig),
    /// Reads letters, counts, and answers calls.
    Serve(Config),
    /// Gives a consumer group its letters again, as the owner of the database.
    Replay(ReplayConfig),
    /// Lets the service go on with another Kafka when the first is lost, as the owner of the database.
    FailOver(FailOverConfig),
}

fn main() -> ExitCode {
    service_runtime::start("analytics", run)
}

async fn run(cli: Cli, shutdown: Shutdown) -> Result<(), Error> {
    match cli {
        Cli::Migrate(config) => database::migrate(&config, &analytics::MIGRATORS).await,
        Cli::Serve(config) => analytics::run(config, shutdown).await,
        Cli::FailOver(config) => fail_over::run(config, "analytics").await,
        Cli::Replay(config) => replay::run(config, "analytics", analytics::consumers::handlers, &shutdown).await,
    }
}
