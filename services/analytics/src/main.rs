//! The analytics process.

use std::process::ExitCode;

use analytics::Config;
use clap::Parser;
use consumer::replay::{self, ReplayConfig};
use service_runtime::{Error, Shutdown, config::MigrateConfig, database};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
}

fn main() -> ExitCode {
    service_runtime::start("analytics", run)
}

async fn run(cli: Cli, shutdown: Shutdown) -> Result<(), Error> {
    match cli {
        Cli::Migrate(config) => database::migrate(&config, &[&consumer::MIGRATOR, &analytics::MIGRATOR]).await,
        Cli::Serve(config) => analytics::run(config, shutdown).await,
        Cli::Replay(config) => replay::run(config, "analytics", analytics::consumers::handlers, &shutdown).await,
    }
}
