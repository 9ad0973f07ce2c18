//! What a producer's settings do to letters: how many a second, and how soon each is acknowledged, for each combination of linger,
//! batch size, compression, partitions and acknowledgements; and what a consumer's patience costs it and saves the broker.
//!
//! On brokers of its own, as `postbox up --profile bench` starts them, with letters as the relay sends them. Every cell lasts some
//! hundred milliseconds, and all of them come again, in another order, round after round: what the machine does to one it does to
//! the others.

pub mod cell;
mod letter;
pub mod reading;
mod writing;

use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use local_servers::{
    Distribution, Kafka, KafkaOptions,
    kafka::Compiler,
    ports,
    topics::{self, TopicSpec},
};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
};
use serde::Serialize;

use crate::{
    chance,
    figure::Figures,
    kafka::{cell::Cell, letter::Letters, reading::Patience},
};

/// How long a request of an operator may take.
const ADMIN: Duration = Duration::from_secs(15);

/// How long a cell of the warm-up lasts.
const WARM_UP: Duration = Duration::from_millis(500);

/// How much.
#[derive(Debug, Clone, Args, Serialize)]
pub struct Matrix {
    /// How often each cell is measured.
    #[arg(long, default_value = "3", value_name = "N", value_parser = clap::value_parser!(u8).range(1..=50))]
    rounds: u8,

    /// How long a cell writes at full speed, and then again at a steady rate, in milliseconds.
    #[arg(long, default_value = "200", value_name = "MS", value_parser = clap::value_parser!(u16).range(50..=5_000))]
    cell: u16,

    /// To see that it works: one round of a few cells, one broker.
    #[arg(long, conflicts_with = "rounds")]
    quick: bool,
}

impl Matrix {
    /// Measures one broker and then three, of which each letter is on all.
    pub async fn measure(mut self, figures: &mut Figures) -> Result<()> {
        if self.quick {
            self.rounds = 1;
        }
        let clusters: &[u16] = if self.quick { &[1] } else { &[1, 3] };
        for &brokers in clusters {
            let mut cluster = Cluster::start(brokers).await?;
            let measured = self.measure_on(&cluster, figures).await;
            cluster.kafka.stop().await?;
            measured?;
        }
        Ok(())
    }

    async fn measure_on(&self, cluster: &Cluster, figures: &mut Figures) -> Result<()> {
        let letters = Letters::write();
        let length = Duration::from_millis(self.cell.into());
        let mut cells = if self.quick { cell::few() } else { cell::of(cluster.brokers) };
        // Java compiles what it runs most, so the first letters would be the slowest
        let warm_up = cluster.topics(0).await?;
        for &cell in cell::few().iter().filter(|cell| cell.brokers == cluster.brokers) {
            writing::measure(cell, &cluster.bootstrap(), &warm_up, &letters, WARM_UP).await?;
        }
        cluster.remove(warm_up).await?;
        for round in 1..=self.rounds {
            eprintln!("kafka, {} broker(s): round {round} of {}, {} cells", cluster.brokers, self.rounds, cells.len());
            let topics = cluster.topics(round).await?;
            shuffle(&mut cells, round);
            for &cell in &cells {
                let written = writing::measure(cell, &cluster.bootstrap(), &topics, &letters, length).await;
                written.with_context(|| cell.name())?.note(cell, figures);
            }
            // what a group's patience is worth depends on no number of copies
            if cluster.brokers == 1 {
                for patience in Patience::all() {
                    let read = reading::measure(patience, &cluster.kafka, &topics, &letters).await;
                    read.with_context(|| patience.name())?.note(patience, figures);
                }
            }
            cluster.remove(topics).await?;
        }
        Ok(())
    }
}

/// Brokers, and where their data is until they go.
struct Cluster {
    brokers: u16,
    kafka: Kafka,
    _data: tempfile::TempDir,
}

impl Cluster {
    async fn start(brokers: u16) -> Result<Self> {
        let distribution = Distribution::fetch().await?;
        let data = tempfile::Builder::new().prefix("postbox-bench-kafka-").tempdir()?;
        let port = ports::free_run(2 * brokers)?;
        let options = KafkaOptions {
            data: data.path().to_owned(),
            brokers,
            port,
            controller_port: port + brokers,
            compiler: Compiler::FullSpeed,
        };
        let mut kafka = Kafka::prepare(&distribution, &options).await?;
        kafka.start().await?;
        Ok(Self { brokers, kafka, _data: data })
    }

    fn bootstrap(&self) -> String {
        self.kafka.bootstrap()
    }

    /// Makes a topic for each number of partitions.
    async fn topics(&self, round: u8) -> Result<Vec<TopicSpec>> {
        let specs =
            cell::PARTITIONS.map(|partitions| TopicSpec { name: format!("letters-{partitions}-{round}"), partitions });
        topics::create(&self.bootstrap(), self.brokers, &specs).await?;
        Ok(specs.to_vec())
    }

    /// Removes topics: what a whole run writes is too much for some disks.
    async fn remove(&self, topics: Vec<TopicSpec>) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", self.bootstrap()).create()?;
        let names: Vec<&str> = topics.iter().map(|topic| topic.name.as_str()).collect();
        let options = AdminOptions::new().request_timeout(Some(ADMIN)).operation_timeout(Some(ADMIN));
        admin.delete_topics(&names, &options).await.context("the topics cannot be removed")?;
        Ok(())
    }
}

/// Another order for each round, the same in every run.
fn shuffle(cells: &mut [Cell], round: u8) {
    for last in (1..cells.len()).rev() {
        let chance = chance::of(u64::from(round) << 32 | last as u64);
        let other = usize::try_from(chance % (last as u64 + 1)).expect("there are few cells");
        cells.swap(last, other);
    }
}
