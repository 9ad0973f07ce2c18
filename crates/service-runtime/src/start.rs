//! From the command line to the exit code.

use std::{env, future::Future, process::ExitCode, time::Duration};

use clap::{Parser, error::ContextKind};
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};
use tracing::{error, info};

use crate::{Error, Shutdown, health, kill_point, recorder::recorder, telemetry};

/// The variable that says how many threads run a service's tasks; tokio's own name for it.
const WORKER_THREADS: &str = "TOKIO_WORKER_THREADS";

/// Without it: on machines with few cores, which all services share, a second thread costs memory and turns and brings no order more.
const WORKER_THREADS_DEFAULT: usize = 1;

/// More are a slip of the pen.
const WORKER_THREADS_MAX: usize = 256;

/// Runs a service process: parses its command line and environment, starts telemetry, runs `service`, and when
/// SIGTERM or SIGINT comes or the service returns, drains what is under way.
///
/// Asked for `health` it is no service: it asks the one that runs beside it whether it is ready, and ends with 0 or 1.
///
/// Exit codes: 0 done, 64 bad configuration (one line that names the variable), 69 a dependency is unreachable, 75
/// something is in the way, 1 anything else, a part that was lost among it.
pub fn start<C, F, S>(name: &'static str, service: S) -> ExitCode
where
    C: Parser,
    F: Future<Output = Result<(), Error>> + Send,
    S: FnOnce(C, Shutdown) -> F,
{
    start_parsed(name, C::try_parse(), service)
}

/// As [`start`], for a command line whose defaults are known only when it runs.
pub fn start_parsed<C, F, S>(name: &'static str, cli: Result<C, clap::Error>, service: S) -> ExitCode
where
    F: Future<Output = Result<(), Error>> + Send,
    S: FnOnce(C, Shutdown) -> F,
{
    // before the command line is looked at: it is the same for every service, and none has to name it
    if health::is_asked_for() {
        return health::ask();
    }
    let threads = match worker_threads() {
        Ok(threads) => threads,
        Err(error) => return fail_before_logs(&error),
    };
    let cli = match cli {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            eprintln!("{}", one_line(&error));
            return ExitCode::from(64);
        }
        Err(help) => {
            // nothing can be done about a closed standard output
            let _ = help.print();
            return ExitCode::SUCCESS;
        }
    };
    let runtime = Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    let runtime = match runtime.map_err(|error| Error::other("starting the async runtime", error)) {
        Ok(runtime) => runtime,
        Err(error) => return fail_before_logs(&error),
    };
    let entered = runtime.enter();
    let telemetry = match telemetry::init(name) {
        Ok(telemetry) => telemetry,
        Err(error) => return fail_before_logs(&error),
    };
    drop(entered);
    if let Err(error) = kill_point::set_up() {
        return fail(&error);
    }
    // before any part begins: what is counted without it is lost
    if let Err(error) = recorder() {
        return fail(&error);
    }
    telemetry.describe();
    let outcome = runtime.block_on(async {
        let shutdown = Shutdown::new();
        request_on_signals(&shutdown)?;
        let result = service(cli, shutdown.clone()).await;
        let drained = shutdown.drain().await;
        result.and(drained)
    });
    // after the drain, so that the spans of what was under way are among them
    telemetry.end();
    // the system's resolver cannot be interrupted: who asked it before the end waits no longer for it
    runtime.shutdown_timeout(Duration::from_secs(1));
    match outcome {
        Ok(()) => {
            info!("ended");
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error),
    }
}

/// As many as [`WORKER_THREADS`] says.
fn worker_threads() -> Result<usize, Error> {
    let Ok(told) = env::var(WORKER_THREADS) else { return Ok(WORKER_THREADS_DEFAULT) };
    let threads = told.parse().ok().filter(|threads| (1..=WORKER_THREADS_MAX).contains(threads));
    threads.ok_or_else(|| Error::Config(format!("{WORKER_THREADS} is no number from 1 to {WORKER_THREADS_MAX}")))
}

fn fail_before_logs(error: &Error) -> ExitCode {
    eprintln!("{error}");
    error.exit_code()
}

fn fail(error: &Error) -> ExitCode {
    error!("{error}");
    error.exit_code()
}

fn request_on_signals(shutdown: &Shutdown) -> Result<(), Error> {
    let listen = |kind| signal(kind).map_err(|error| Error::other("listening for signals", error));
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let shutdown = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => info!("SIGTERM"),
            _ = interrupt.recv() => info!("SIGINT"),
        }
        shutdown.request();
    });
    Ok(())
}

/// What clap says in several lines, as one that names the flag and its variable.
fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let told = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    let told: Vec<&str> = told.filter(|line| !line.is_empty() && !line.starts_with("For more information")).collect();
    let told = told.join(" ");
    // a value from the environment is reported under the flag's name, like `--flag <VALUE>`: name the variable as well
    let flag = error.get(ContextKind::InvalidArg).map(ToString::to_string).unwrap_or_default();
    match flag.strip_prefix("--").and_then(|flag| flag.split([' ', '=']).next()) {
        Some(flag) if !flag.is_empty() => {
            format!("{told} (environment variable {})", flag.to_uppercase().replace('-', "_"))
        }
        _ => told,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        database: crate::config::DatabaseConfig,
    }

    #[test]
    fn a_bad_setting_is_told_in_one_line_that_names_its_variable() {
        let args = ["service", "--database-url", "postgres://x", "--database-connections", "0"];
        let line = one_line(&Cli::try_parse_from(args).unwrap_err());
        assert!(line.contains("DATABASE_CONNECTIONS") && !line.contains('\n'), "{line}");
    }

    #[test]
    fn its_variable_is_named_also_when_its_value_looks_like_a_flag() {
        let args = ["service", "--database-url", "postgres://x", "--database-connections", "1--tls 'a"];
        let line = one_line(&Cli::try_parse_from(args).unwrap_err());
        assert!(line.ends_with("(environment variable DATABASE_CONNECTIONS)"), "{line}");
    }

    #[test]
    fn a_missing_setting_is_told_in_one_line_that_names_its_variable() {
        let line = one_line(&Cli::try_parse_from(["service"]).unwrap_err());
        assert!(line.contains("DATABASE_URL") && !line.contains('\n'), "{line}");
    }
}
