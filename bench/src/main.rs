//! The figures that the project publishes: how fast it starts, how much memory it takes, how long an order takes, how many it
//! takes a second.
//!
//! It measures the programs that lie beside it (`make bench` builds them optimised) on this machine, and prints medians with
//! the lowest and the highest value; `--json` for machines. It asserts no figure: a figure is no test. Orders that were placed
//! to measure are audited, though, and a broken promise makes the run worthless.

mod batches;
mod catch_up;
mod chance;
mod debezium;
mod doors;
mod figure;
mod followers;
mod growth;
mod halted;
mod hot;
mod journal;
mod lag;
mod letterbox;
mod load;
mod monolith;
mod orders;
mod pg;
mod platform;
mod processor;
mod relay;
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
mod wire;

use std::process::ExitCode;

use anyhow::{Result, anyhow};
use clap::{Parser, Subcommand};
use tokio::runtime::Builder;

use crate::{figure::Figures, growth::Growth, start::StartUp, throughput::Throughput, traces::Traces, turns::Turns};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures and prints.
#[derive(Debug, Parser)]
#[command(name = "bench", version)]
struct Cli {
    #[command(subcommand)]
    what: What,

    /// Prints one JSON object instead of a table.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    /// How fast it starts, how much memory it takes, how long an order and its effects take
    Start(StartUp),
    /// How many orders a second, against what the database server can do at all
    Throughput(Throughput),
    /// What exporting spans costs
    Traces(Traces),
    /// Orders by letter against orders by telephone
    Doors(Turns),
    /// Shared commits against a commit for each request
    Batches(Turns),
    /// Reserve of one product that everybody wants against updates of one row
    Hot(Turns),
    /// How fast letters leave the outbox, how long they wait there, and what that costs
    Relay(Turns),
    /// A service that does nothing but write and relay letters
    #[command(hide = true)]
    Letterbox(letterbox::Service),
    /// How soon a follower that stood still has caught up
    CatchUp(Turns),
    /// All services against one process and one transaction
    Monolith(Turns),
    /// That process
    #[command(hide = true)]
    MonolithServe(monolith::Service),
    /// A platform with millions of orders against a new one
    Growth(Growth),
    /// The relay against Debezium; needs `mvn` and a network the first time
    Debezium(Turns),
    /// `start`, `throughput`, then every comparison; an hour
    All {
        #[command(flatten)]
        start: StartUp,
        #[command(flatten)]
        throughput: Throughput,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut runtime = match cli.what {
        // as many threads as a service has
        What::MonolithServe(_) => Builder::new_multi_thread(),
        // whoever measures takes as little of the machine as can be
        _ => Builder::new_current_thread(),
    };
    let runtime = runtime.worker_threads(2).enable_all().build().expect("threads can be started");
    runtime.block_on(run(cli))
}

async fn run(cli: Cli) -> ExitCode {
    let mut figures = Figures::default();
    let measured = tokio::select! {
        measured = measure(cli.what, &mut figures) => measured,
        _ = tokio::signal::ctrl_c() => Err(anyhow!("interrupted")),
    };
    // whoever has a table has one that counts
    match measured {
        Ok(()) => println!("{}", if cli.json { figures.to_json() } else { figures.to_table() }),
        Err(error) => {
            eprintln!("bench: {error:#}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

async fn measure(what: What, figures: &mut Figures) -> Result<()> {
    match what {
        What::Start(start) => start.measure(figures).await,
        What::Throughput(throughput) => throughput.measure(figures).await,
        What::Traces(traces) => traces.measure(figures).await,
        What::Doors(turns) => doors::measure(turns, figures).await,
        What::Batches(turns) => batches::measure(turns, figures).await,
        What::Hot(turns) => hot::measure(turns, figures).await,
        What::Relay(turns) => relay::measure(turns, figures).await,
        What::Letterbox(service) => service.run().await,
        What::CatchUp(turns) => catch_up::measure(turns, figures).await,
        What::Monolith(turns) => monolith::measure(turns, figures).await,
        What::MonolithServe(service) => service.run().await,
        What::Growth(growth) => growth.measure(figures).await,
        What::Debezium(turns) => debezium::measure(turns, figures).await,
        What::All { start, throughput } => {
            let turns = Turns::usual(throughput.is_quick());
            start.measure(figures).await?;
            throughput.measure(figures).await?;
            doors::measure(turns, figures).await?;
            batches::measure(turns, figures).await?;
            hot::measure(turns, figures).await?;
            relay::measure(turns, figures).await?;
            catch_up::measure(turns, figures).await?;
            monolith::measure(turns, figures).await?;
            debezium::measure(turns, figures).await?;
            Growth::usual(turns).measure(figures).await
        }
    }
}
