//! Runs a command with a real PostgreSQL and a real Kafka beside it, both fresh and on free ports:
//!
//! ```text
//! with-servers COMMAND [ARGUMENTS…]
//! ```
//!
//! The command finds them in `TEST_POSTGRES_URL` (the superuser's) and `TEST_KAFKA_BOOTSTRAP`. Both are stopped and their
//! data is deleted when it ends; the exit code is the command's. Without a command it prints the variables for a
//! shell, and keeps the servers until it is interrupted.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};

use anyhow::Context;
use testkit::{OwnKafka, OwnPostgres};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

// one thread, so that it lives as long as the process: see local_servers::process
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(std::env::args_os().skip(1).collect()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("with-servers: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Vec<OsString>) -> anyhow::Result<ExitCode> {
    // from here on a signal no longer ends this process, so the servers are always stopped and their data deleted
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (mut postgres, mut kafka) = tokio::select! {
        started = async { tokio::try_join!(OwnPostgres::start(), OwnKafka::start(1)) } => started?,
        _ = interrupt.recv() => return Ok(ExitCode::FAILURE),
        _ = terminate.recv() => return Ok(ExitCode::FAILURE),
    };
    let variables = [
        ("TEST_POSTGRES_URL", postgres.server.superuser_url()),
        ("TEST_POSTGRES_IN_MEMORY", if postgres.is_in_memory { "yes" } else { "no" }.to_owned()),
        ("TEST_KAFKA_BOOTSTRAP", kafka.kafka.bootstrap.clone()),
    ];
    let code = if let Some((program, arguments)) = command.split_first() {
        let mut child = Command::new(program)
            .args(arguments)
            .envs(variables)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        // an interrupt from the terminal reaches the command too, which then ends by itself
        tokio::select! {
            status = child.wait() => exit_code(status?),
            _ = terminate.recv() => ExitCode::FAILURE,
        }
    } else {
        for (name, value) in variables {
            println!("export {name}={value}");
        }
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        ExitCode::SUCCESS
    };
    kafka.server.stop().await?;
    postgres.server.stop().await?;
    Ok(code)
}

/// The command's own code; 128 and the signal, as a shell has it, when it was killed.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
