//! The process of payment: `payment migrate` and `payment serve`.

use std::process::ExitCode;

use clap::Parser;
use consumer::replay::{self, ReplayConfig};
use fail_over::FailOverConfig;
use payment::config::Config;
use service_runtime::{Error, Shutdown, config::MigrateConfig, database};

/// Payment charges orders through the card network, and undoes charges.
#[derive(Debug, Parser)]
#[command(version)]
enum Cli {
    /// Brings the database to the shape of this version, as its owner.
    Migrate(MigrateConfig),
    /// Answers calls, and charges what is ordered by letter.
    Serve(Config),
    /// Gives a consumer group its letters again, as the owner of the database.
    Replay(ReplayConfig),
    /// Lets the service go on with another Kafka when the first is lost, as the owner of the database.
    FailOver(FailOverConfig),
}

fn main() -> ExitCode {
    service_runtime::start("payment", run)
}

async fn run(cli: Cli, shutdown: Shutdown) -> Result<(), Error> {
    match cli {
        Cli::Migrate(config) => database::migrate(&config, &payment::MIGRATORS).await,
        Cli::Serve(config) => payment::run(config, shutdown).await,
        Cli::FailOver(config) => fail_over::run(config, "payment").await,
        Cli::Replay(config) => replay::run(config, "payment", payment::consumers::handlers, &shutdown).await,
    }
}
