//! Plays the fault table: does harm to a whole platform while customers order, and checks that nothing is lost, doubled or
//! broken and that all is as before soon enough. Exit code 1 when a promise was not kept.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use journeys::{
    faults::{
        Length,
        report::{self, Line},
        rows,
        run::Run,
    },
    site,
};
use tokio::signal::unix::{SignalKind, signal};

/// Plays the fault table.
#[derive(Debug, Parser)]
struct Cli {
    /// Short faults and a small load: all rows in minutes
    #[arg(long, required_unless_present = "long", conflicts_with = "long")]
    short: bool,
    /// Long faults and a larger load, for the figures that are published
    #[arg(long)]
    long: bool,
    /// Only the rows whose name contains this
    #[arg(long, value_name = "ROW")]
    only: Option<String>,
    /// Write the table into this document, below its marker line; with --only, these rows of it
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Take the services' programs from here [default: where this program lies]
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
}

// one thread, so that it lives as long as the process: see local_servers::process
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    // whoever interrupts leaves nothing behind: all that runs ends when it is dropped
    let mut interrupt = signal(SignalKind::interrupt()).expect("signals can be heard");
    let mut terminate = signal(SignalKind::terminate()).expect("signals can be heard");
    tokio::select! {
        code = play(cli) => code,
        _ = interrupt.recv() => ExitCode::FAILURE,
        _ = terminate.recv() => ExitCode::FAILURE,
    }
}

async fn play(cli: Cli) -> ExitCode {
    // a row that cannot go on is told in the report, in one line
    std::panic::set_hook(Box::new(|_| {}));
    let length = if cli.long { Length::Long } else { Length::Short };
    let rows = rows::all();
    let chosen: Vec<_> =
        rows.iter().filter(|row| cli.only.as_ref().is_none_or(|only| row.name().contains(only))).collect();
    if chosen.is_empty() {
        eprintln!("faults: no row has this in its name; there are:");
        for row in &rows {
            eprintln!("  {}", row.name());
        }
        return ExitCode::from(64);
    }
    let mut run = Run::new(length, cli.programs.unwrap_or_else(site::programs));
    let mut lines: Vec<Line> = Vec::new();
    for row in chosen {
        lines.extend(run.play(row.as_ref()).await);
    }
    drop(run);
    println!("\n{}", report::table(&lines));
    if let Some(document) = &cli.report
        && let Err(error) = report::write(document, &lines, cli.only.is_none())
    {
        eprintln!("faults: cannot write {}: {error}", document.display());
        return ExitCode::from(69);
    }
    if lines.iter().all(|line| line.verdict.is_good()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
