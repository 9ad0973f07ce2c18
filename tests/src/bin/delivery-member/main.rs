//! The processes of the page `docs/tour/delivery.md`: each does one thing with ten letters, in one of the ways that there are,
//! and can be told to stop at a moment, say so, and wait there to be killed.
//!
//! Takes `KAFKA_BOOTSTRAP_SERVERS` and `KAFKA_NAMESPACE` from the environment, and `DATABASE_URL` of a database with a table
//! `effect (letter TEXT)`.

mod consumers;
mod effectively_once;
mod producer;

use std::io::Read;

use clap::{Parser, ValueEnum};
use service_runtime::config::KafkaConfig;

/// So many letters there are.
const LETTERS: i64 = 10;

/// At this one it stops, counted from 1.
const STOP_AT: i64 = 5;

#[derive(Debug, Parser)]
struct Cli {
    /// What it does, and how.
    role: Role,

    /// Stops at the bad moment of its role.
    #[arg(long)]
    stop: Option<Moment>,

    #[command(flatten)]
    kafka: KafkaConfig,

    #[arg(long, env = "DATABASE_URL")]
    database_url: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Role {
    /// Tells Kafka that the letter is done, then does it.
    AtMostOnce,
    /// Does it, then tells Kafka.
    AtLeastOnce,
    /// `crates/consumer`: effect and position in one transaction of Postgres.
    EffectivelyOnce,
    /// Writes all letters in one transaction of Kafka.
    Transactional,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Moment {
    /// One of the two is done, the other is not; or all is done and nothing is committed.
    Between,
    /// All is committed, and nobody has been told.
    AfterCommit,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    match cli.role {
        Role::AtMostOnce | Role::AtLeastOnce => consumers::run(&cli).await,
        Role::EffectivelyOnce => effectively_once::run(&cli).await,
        Role::Transactional => producer::run(&cli).await,
    }
}

/// Says that the moment has come, and waits in it for as long as whoever started this process lives.
fn wait_to_be_killed() -> ! {
    println!("now");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    std::process::exit(1)
}
