//! The inventory process.

use std::process::ExitCode;

use clap::Parser;
use consumer::replay::{self, ReplayConfig};
use fail_over::FailOverConfig;
use inventory::{Catalogue, Config};
use service_runtime::{
    Error, Shutdown,
    config::{DatabaseConfig, MigrateConfig},
    database,
};

/// Catalogue, stock and reservations.
#[derive(Debug, Parser)]
#[command(name = "inventory")]
enum Cli {
    /// Brings the database to the shape that this version expects, as its owner.
    Migrate(MigrateConfig),
    /// Answers calls and reads letters.
    Serve(Config),
    /// Gives a consumer group its letters again, as the owner of the database.
    Replay(ReplayConfig),
    /// Lets the service go on with another Kafka when the first is lost, as the owner of the database.
    FailOver(FailOverConfig),
    /// Puts a catalogue on sale. Doing it again adds nothing and changes nothing.
    Seed {
        /// Which one.
        catalogue: Catalogue,
        /// The database of inventory.
        #[command(flatten)]
        database: DatabaseConfig,
    },
}

fn main() -> ExitCode {
    service_runtime::start("inventory", run)
}

async fn run(cli: Cli, shutdown: Shutdown) -> Result<(), Error> {
    match cli {
        Cli::Migrate(config) => database::migrate(&config, &inventory::MIGRATORS).await,
        Cli::Serve(config) => inventory::run(config, shutdown).await,
        Cli::FailOver(config) => fail_over::run(config, "inventory").await,
        Cli::Replay(config) => replay::run(config, "inventory", inventory::handlers, &shutdown).await,
        Cli::Seed { catalogue, database } => {
            let pool = database::connect(&database).await?;
            inventory::seed(&pool, catalogue).await.map_err(|error| Error::other("seeding the catalogue", error))
        }
    }
}
