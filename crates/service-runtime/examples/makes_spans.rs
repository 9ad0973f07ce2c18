//! A service that makes as many spans as its only argument says, and ends. The tests look at who hears of them.

use std::process::ExitCode;

use clap::Parser;
use service_runtime::{Error, Shutdown};
use tracing::{info, info_span};

#[derive(Debug, Parser)]
struct Cli {
    spans: usize,
}

fn main() -> ExitCode {
    service_runtime::start("makes-spans", run)
}

async fn run(cli: Cli, _shutdown: Shutdown) -> Result<(), Error> {
    for number in 0..cli.spans {
        info_span!("piece", number, otel.name = "a piece of work", otel.kind = "server").in_scope(|| ());
    }
    info!(spans = cli.spans, "made");
    Ok(())
}
