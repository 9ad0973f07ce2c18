//! The process of the gateway.

use std::process::ExitCode;

use gateway::config::Cli;

fn main() -> ExitCode {
    service_runtime::start("gateway", |Cli::Serve(config), shutdown| gateway::run(config, shutdown))
}
