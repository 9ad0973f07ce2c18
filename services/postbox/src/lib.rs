//! The command line of Postbox: starts the whole platform on one machine, looks after it, and talks to it.
//!
//! Start at `up`: it reads every service's manifest (`manifest`), starts PostgreSQL, Kafka and the services, keeps
//! them running, and writes where everything is into the data folder (`state`), where the other commands find it. It
//! knows no service by name: a new one is a new folder with a manifest.

mod audit;
mod cli;
mod data;
mod demo;
mod dlq;
mod doctor;
mod down;
mod elsewhere;
mod failure;
mod gateway;
mod http;
mod identity;
mod lag;
mod letters;
pub mod load;
mod logs;
pub mod manifest;
mod operator_log;
mod operators;
mod order;
mod ports;
mod progress;
mod replay;
mod sagas;
pub mod secret;
pub mod state;
mod status;
mod up;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::failure::Failure;

/// Runs the command that the arguments name. The exit code: 0 done, 1 found something wrong, 64 usage or bad
/// configuration, 69 a dependency unreachable, 75 try again.
pub async fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(refused) => {
            // help and version are not errors; a terminal that is gone cannot be told anything
            let _ = refused.print();
            return if refused.use_stderr() { Failure::usage("").exit_code() } else { ExitCode::SUCCESS };
        }
    };
    match dispatch(cli).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("postbox: {failure}");
            failure.exit_code()
        }
    }
}

async fn dispatch(cli: Cli) -> Result<(), Failure> {
    let common = cli.common;
    match cli.command {
        Command::Up(options) => up::run(&common, &options).await,
        Command::Down => down::run(&common).await,
        Command::Status => status::run(&common).await,
        Command::Logs(options) => logs::run(&common, &options).await,
        Command::Doctor => doctor::run(&common).await,
        Command::Order(options) => order::run(&common, &options).await,
        Command::Load(options) => load::run(&common, &options).await,
        Command::Audit(options) => audit::run(&common, &options).await,
        Command::Lag => lag::run(&common).await,
        Command::Dlq { command } => dlq::run(&common, &command).await,
        Command::Replay(options) => replay::run(&common, &options).await,
        Command::Sagas { command } => sagas::run(&common, &command).await,
        Command::Operators { command } => operator_log::run(&common, &command).await,
        Command::Demo => demo::run(&common).await,
    }
}
