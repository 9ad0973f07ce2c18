//! The figures that the project publishes: how fast it starts, how much memory it takes, how long an order takes, how many it
//! takes a second.
//!
//! It measures the programs that lie beside it (`make bench` builds them optimised) on this machine, and prints medians with
//! the lowest and the highest value; `--json` for machines, `--page` for people. It asserts no figure: a figure is no test. Orders
//! that were placed to measure are audited, though, and a broken promise makes the run worthless.

mod allocations;
mod batches;
mod catch_up;
mod chance;
mod counts;
mod crowd;
mod debezium;
mod doors;
mod figure;
mod followers;
mod functions;
mod growth;
mod halted;
mod hops;
mod hot;
mod journal;
mod kafka;
mod lag;
mod letterbox;
mod load;
mod monolith;
mod neighbours;
mod orders;
mod overload;
mod page;
mod pg;
mod platform;
mod plot;
mod processor;
mod relay;
mod report;
mod run;
mod script;
mod service;
mod settled;
mod side;
mod slice;
mod stack;
mod standstill;
mod start;
mod throughput;
mod traces;
mod turns;
mod whole;
mod wire;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use anyhow::{Context, Result, anyhow};
use clap::{Parser, Subcommand};
use serde::Serialize;
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};

use crate::{
    counts::Counts,
    figure::Figures,
    growth::Growth,
    kafka::Matrix,
    overload::Overload,
    page::{FIGURES, MakePage},
    relay::Relay,
    report::Report,
    run::{Circumstances, Run},
    start::StartUp,
    throughput::Throughput,
    traces::Traces,
    turns::Turns,
    whole::Whole,
};

/// Measures and prints.
#[derive(Debug, Parser)]
#[command(name = "bench", version)]
struct Cli {
    #[command(subcommand)]
    what: What,

    /// Prints one JSON object instead of tables.
    #[arg(long, global = true)]
    json: bool,

    /// Writes the figures into this file as well, as JSON. A run that is void leaves it without any.
    #[arg(long, global = true, value_name = "FILE")]
    report: Option<PathBuf>,

    /// Makes the page in this folder, with what was measured in the place of what is there of the same parts; `all` starts a new page.
    #[arg(long, global = true, value_name = "FOLDER")]
    page: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum What {
    #[command(flatten)]
    Part(Part),
    /// Everything that the page has; the better part of an hour
    All(Whole),
    /// Makes the page from figures that were measured before
    #[command(name = "page")]
    MakePage(MakePage),
    /// A service that does nothing but write and relay letters
    #[command(hide = true)]
    Letterbox(letterbox::Service),
    /// The one process that does all in one transaction
    #[command(hide = true)]
    MonolithServe(monolith::Service),
    /// Whether hot functions take more instructions than they did: see scripts/instruction-counts
    Counts(Counts),
}

/// What can be measured by itself.
#[derive(Debug, Clone, Subcommand, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Part {
    /// How fast it starts, how much memory it takes, how long an order and its effects take
    Start(StartUp),
    /// How many orders a second, against what the database server can do at all
    Throughput(Throughput),
    /// What exporting spans costs
    Traces(Traces),
    /// What the settings of a producer and a consumer do to letters
    Kafka(Matrix),
    /// One order against its commits and hops, and what hops cost
    Hops(Turns),
    /// Orders by letter against orders by telephone
    Doors(Turns),
    /// Shared commits against a commit for each request
    Batches(Turns),
    /// Reserve of one product that everybody wants against updates of one row
    Hot(Turns),
    /// How fast letters leave the outbox, how long they wait there, and what that costs
    Relay(Relay),
    /// How soon a follower that stood still has caught up
    CatchUp(Turns),
    /// All services against one process and one transaction
    Monolith(Turns),
    /// A platform with millions of orders against a new one
    Growth(Growth),
    /// Where processor time goes, function by function; needs `perf`
    Functions(Turns),
    /// What slow cards and huge orders do to the orders of others
    Neighbours(Turns),
    /// Twice as many orders as can be taken
    Overload(Overload),
    /// The relay against Debezium; needs `mvn` and a network the first time
    Debezium(Turns),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut runtime = match cli.what {
        // all that the machine has: it is one process in the place of seven
        What::MonolithServe(_) => Builder::new_multi_thread(),
        // whoever measures takes as little of the machine as can be
        _ => Builder::new_current_thread(),
    };
    let runtime = runtime.worker_threads(2).enable_all().build().expect("threads can be started");
    runtime.block_on(run_until_interrupted(cli))
}

async fn run_until_interrupted(cli: Cli) -> ExitCode {
    // dropped in the middle it stops what it has started; a signal that is not waited for would leave that running
    let mut terminate = signal(SignalKind::terminate()).expect("there is a runtime");
    let done = tokio::select! {
        done = run(cli) => done,
        _ = tokio::signal::ctrl_c() => Err(anyhow!("interrupted")),
        _ = terminate.recv() => Err(anyhow!("terminated")),
    };
    if let Err(error) = done {
        eprintln!("bench: {error:#}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

async fn run(cli: Cli) -> Result<()> {
    let Cli { what, json, report: file, page } = cli;
    // a run is long: where its figures go must not fail at its end
    if let Some(file) = &file {
        write(file, &Report::default())?;
    }
    let mut earlier = match (&page, &what) {
        (Some(folder), What::Part(_)) => Report::read(&folder.join(FIGURES))?,
        _ => Report::default(),
    };
    let mut report = Report::default();
    let measured = match what {
        What::Part(part) => part.measure_into(&mut report).await,
        What::All(whole) => whole.measure(&mut report).await,
        What::MakePage(make) => return make.make(),
        What::Counts(counts) => return counts.compare(),
        What::Letterbox(service) => return service.run().await,
        What::MonolithServe(service) => return service.run().await,
    };
    // whoever has a table has one that counts
    if !report.runs().is_empty() {
        println!("{}", if json { report.to_json() } else { report.to_tables() });
        if let Some(file) = &file {
            write(file, &report)?;
        }
        if let Some(folder) = &page {
            earlier.put_all(report);
            page::write(&earlier, folder)?;
        }
    }
    measured
}

impl Part {
    /// Measures it. When it fails, nothing of it counts, and the report stays as it is.
    async fn measure_into(self, report: &mut Report) -> Result<()> {
        let circumstances = Circumstances::here().await?;
        let options = serde_json::to_value(&self).context("options are names and numbers")?;
        let began = Instant::now();
        let mut figures = Figures::default();
        match self {
            Self::Start(start) => start.measure(&mut figures).await,
            Self::Throughput(throughput) => throughput.measure(&mut figures).await,
            Self::Traces(traces) => traces.measure(&mut figures).await,
            Self::Kafka(matrix) => matrix.measure(&mut figures).await,
            Self::Hops(turns) => hops::measure(turns, &mut figures).await,
            Self::Doors(turns) => doors::measure(turns, &mut figures).await,
            Self::Batches(turns) => batches::measure(turns, &mut figures).await,
            Self::Hot(turns) => hot::measure(turns, &mut figures).await,
            Self::Relay(relay) => relay.measure(&mut figures).await,
            Self::CatchUp(turns) => catch_up::measure(turns, &mut figures).await,
            Self::Monolith(turns) => monolith::measure(turns, &mut figures).await,
            Self::Functions(turns) => functions::measure(turns, &mut figures).await,
            Self::Neighbours(turns) => neighbours::measure(turns, &mut figures).await,
            Self::Overload(overload) => overload.measure(&mut figures).await,
            Self::Growth(growth) => growth.measure(&mut figures).await,
            Self::Debezium(turns) => debezium::measure(turns, &mut figures).await,
        }?;
        report.put(Run::ended(options, began.elapsed(), circumstances, figures)?);
        Ok(())
    }
}

fn write(file: &Path, report: &Report) -> Result<()> {
    std::fs::write(file, report.to_json()).with_context(|| format!("{} cannot be written", file.display()))
}
