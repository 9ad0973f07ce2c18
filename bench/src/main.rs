//! The figures that the project publishes: how fast it starts, how much memory it takes, how long an order takes.
//!
//! It measures the programs that lie beside it (`make bench` builds them optimised) on this machine, and prints medians with
//! the lowest and the highest value; `--json` for machines. It asserts nothing: a figure is no test.

mod figure;
mod followers;
mod orders;
mod platform;
mod service;
mod traces;

use std::time::Duration;

use anyhow::Result;
use clap::Parser;

use crate::{figure::Figures, platform::Platform};

/// Measures and prints.
#[derive(Debug, Parser)]
struct Cli {
    /// How often each start is measured.
    #[arg(long, default_value = "5", value_parser = clap::value_parser!(u8).range(1..=50))]
    rounds: u8,

    /// How many orders are placed one after another through each door.
    #[arg(long, default_value = "500", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    orders: u32,

    /// How long followers are measured, in seconds.
    #[arg(long, default_value = "20", value_parser = clap::value_parser!(u16).range(1..=600))]
    followers_for: u16,

    /// Measures what exporting spans costs, and nothing else: `--rounds` times so many `--orders` with, and without.
    #[arg(long)]
    traces: bool,

    /// Prints one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let cli = Cli::parse();
    let mut figures = Figures::default();
    if cli.traces {
        traces::cost(cli.rounds, cli.orders, &mut figures).await?;
    } else {
        measure(&cli, &mut figures).await?;
    }
    println!("{}", if cli.json { figures.to_json() } else { figures.to_table() });
    Ok(())
}

async fn measure(cli: &Cli, figures: &mut Figures) -> Result<()> {
    for round in 0..cli.rounds {
        let platform = Platform::up(figures).await?;
        platform.memory_when_idle(figures).await?;
        service::starts(&platform, figures).await?;
        if round + 1 == cli.rounds {
            orders::one_at_a_time(&platform, cli.orders, figures).await?;
            followers::at_a_steady_rate(&platform, Duration::from_secs(cli.followers_for.into()), figures).await?;
            platform.memory_after_load(figures)?;
        }
        platform.down().await?;
    }
    Ok(())
}
