//! The command line of every follower.

use clap::{Args, CommandFactory, FromArgMatches, Parser};
use consumer::replay::ReplayConfig;
use fail_over::FailOverConfig;
use service_runtime::config::{DatabaseConfig, KafkaConfig, MigrateConfig, OpsConfig};

use crate::manifest::Manifest;

/// A service that lives on letters alone.
#[derive(Debug, Parser)]
pub(crate) enum Cli {
    /// Brings the database to the shape that this version expects, as its owner.
    Migrate(MigrateConfig),
    /// Reads letters.
    Serve(Serve),
    /// Gives a consumer group its letters again, as the owner of the database.
    Replay(ReplayConfig),
    /// Lets the service go on with another Kafka when the first is lost, as the owner of the database.
    FailOver(FailOverConfig),
}

/// Everything that `serve` can be told. Each is an environment variable and a flag.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Where the ops endpoints are.
    #[command(flatten)]
    pub ops: OpsConfig,

    /// The follower's own database.
    #[command(flatten)]
    pub database: DatabaseConfig,

    /// The brokers.
    #[command(flatten)]
    pub kafka: KafkaConfig,
}

impl Cli {
    /// Reads the command line and the environment of this process, with the defaults that the manifest names.
    pub fn parse(manifest: &Manifest<'static>) -> Result<Self, clap::Error> {
        // clap keeps defaults as long as the process lives, and there is one
        let ops_addr: &'static str = format!("127.0.0.1:{}", manifest.ops_port).leak();
        let command = Self::command().name(manifest.name).mut_subcommand("serve", |serve| {
            serve.mut_arg("ops_addr", |arg| arg.default_value(ops_addr).required(false))
        });
        Self::from_arg_matches(&command.try_get_matches()?)
    }
}
