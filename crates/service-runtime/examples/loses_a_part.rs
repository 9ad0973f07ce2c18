//! A service that loses a part as its only argument says: `returns` or `panics`. The tests look at how it ends.

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use service_runtime::{Error, Shutdown};

#[derive(Debug, Parser)]
struct Cli {
    how: How,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum How {
    Returns,
    Panics,
}

fn main() -> ExitCode {
    service_runtime::start("loses-a-part", run)
}

async fn run(cli: Cli, shutdown: Shutdown) -> Result<(), Error> {
    shutdown.spawn_part("relay", async move {
        if matches!(cli.how, How::Panics) {
            panic!("the table is gone");
        }
    });
    shutdown.requested().await;
    Ok(())
}
