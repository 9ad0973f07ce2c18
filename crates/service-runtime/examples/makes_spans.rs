//! A service that makes as many spans as its only argument says, and ends. The tests look at who hears of them.

use std::process::ExitCode;

use clap::Parser;
use service_runtime::{Error, Shutdown};
use tracing::{Level, enabled, info, info_span};

#[derive(Debug, Parser)]
struct Cli {
    spans: usize,
}

fn main() -> ExitCode {
    service_runtime::start("makes-spans", run)
}

async fn run(cli: Cli, _shutdown: Shutdown) -> Result<(), Error> {
    // what nobody has asked for, asked about before everything that is told: as rdkafka and sqlx do
    let ask = || (enabled!(target: "librdkafka", Level::INFO), enabled!(target: "sqlx::query", Level::DEBUG));
    for number in 0..cli.spans {
        assert_eq!(ask(), (false, false));
        info_span!("piece", number, otel.name = "a piece of work", otel.kind = "server").in_scope(|| ());
    }
    ask();
    info!(spans = cli.spans, "made");
    Ok(())
}
