//! The process of accounts: `serve`, `migrate`, `seed`, `create-operator`.

use std::process::ExitCode;

use accounts::{
    config::{Cli, Command},
    operators,
};
use service_runtime::{Error, Shutdown, database};

fn main() -> ExitCode {
    service_runtime::start("accounts", run)
}

async fn run(cli: Cli, shutdown: Shutdown) -> Result<(), Error> {
    match cli.command {
        Command::Migrate(config) => database::migrate(&config, &accounts::MIGRATORS).await,
        Command::FailOver(config) => fail_over::run(config, "accounts").await,
        Command::Serve(config) => accounts::run(config, shutdown).await,
        Command::Seed(config) => operators::seed(config, &shutdown).await,
        Command::CreateOperator(config) => operators::create(config, &shutdown).await,
    }
}
