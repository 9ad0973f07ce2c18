//! The process of order: `order migrate` and `order serve`.

use std::process::ExitCode;

use clap::Parser;
use consumer::replay::{self, ReplayConfig};
use fail_over::FailOverConfig;
use service_runtime::{Error, Shutdown, clock::Clock, config::MigrateConfig, database};

/// Order owns the life of an order.
#[derive(Debug, Parser)]
#[command(version)]
enum Cli {
    /// Brings the database to the shape of this version, as its owner.
    Migrate(MigrateConfig),
    /// Serves.
    Serve(Box<order::config::Config>),
    /// Gives a consumer group its letters again, as the owner of the database.
    Replay(ReplayConfig),
    /// Lets the service go on with another Kafka when the first is lost, as the owner of the database.
    FailOver(FailOverConfig),
}

fn main() -> ExitCode {
    service_runtime::start("order", run)
}

async fn run(cli: Cli, shutdown: Shutdown) -> Result<(), Error> {
    match cli {
        Cli::Migrate(config) => database::migrate(&config, &order::MIGRATORS).await,
        Cli::Serve(config) => order::run(*config, shutdown).await,
        Cli::FailOver(config) => fail_over::run(config, "order").await,
        Cli::Replay(config) => {
            replay::run(
                config,
                "order",
                |config, pool| order::consumers::handlers(config, pool, Clock::System),
                &shutdown,
            )
            .await
        }
    }
}
