//! The stand-in card network's process.

use std::process::ExitCode;

use psp::config::Cli;

fn main() -> ExitCode {
    service_runtime::start("psp", |Cli::Serve(config), shutdown| psp::run(config, shutdown))
}
