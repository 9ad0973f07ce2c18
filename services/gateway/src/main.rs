//! The process of the gateway: `serve`, `openapi`.

use std::process::ExitCode;

use gateway::config::Cli;
use service_runtime::{Error, Shutdown};

fn main() -> ExitCode {
    service_runtime::start("gateway", run)
}

async fn run(cli: Cli, shutdown: Shutdown) -> Result<(), Error> {
    match cli {
        Cli::Serve(config) => gateway::run(config, shutdown).await,
        Cli::Openapi(config) => gateway::print_openapi(&config, &shutdown),
    }
}
