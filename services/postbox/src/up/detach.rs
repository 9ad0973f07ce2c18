//! `up --detach`: leaves the platform running in the background and returns when it is ready.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::time::{Instant, sleep};

use crate::cli::Common;
use crate::data::DataFolder;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::state::{Identity, State};
use crate::status;

const POLL: Duration = Duration::from_millis(50);
/// The parts of a start have shorter limits of their own; the longest is fetching the servers.
const DEADLINE: Duration = Duration::from_mins(15);

/// Starts this program again with the same arguments as a process of its own, and waits until its platform is ready.
pub async fn run(common: &Common, data: &DataFolder) -> Result<(), Failure> {
    // a running one would be found out by the other process too, but its log is not for us to overwrite
    drop(data.lock()?);
    let log = data.log("supervisor");
    let mut supervisor = start(&log)?;
    let progress = Progress::start("starting Postbox in the background", common.json);
    let waiting = until_started(&mut supervisor, data, &log);
    let state = tokio::select! {
        state = waiting => state?,
        _ = tokio::signal::ctrl_c() => {
            give_up(&supervisor);
            return Err(Failure::try_again("interrupted: what had been started is stopped"));
        }
    };
    progress.finish();
    status::print(&status::look(&state).await, common.json);
    Ok(())
}

fn start(log: &Path) -> Result<Child, Failure> {
    let output = File::create(log).map_err(Failure::io("create", log))?;
    let errors = output.try_clone().map_err(Failure::io("open", log))?;
    let program = std::env::current_exe().map_err(Failure::io("find", Path::new("this program")))?;
    Command::new(&program)
        .args(std::env::args_os().skip(1).filter(|argument| argument != "--detach"))
        .arg("--in-background")
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .map_err(Failure::io("start", &program))
}

async fn until_started(supervisor: &mut Child, data: &DataFolder, log: &Path) -> Result<State, Failure> {
    let began = Instant::now();
    while began.elapsed() < DEADLINE {
        if let Some(status) = supervisor.try_wait().map_err(Failure::io("wait for", log))? {
            return Err(failure(status, log));
        }
        if let Some(state) = State::read(&data.state_file())?
            && state.started
            && state.supervisor.pid == supervisor.id()
        {
            return Ok(state);
        }
        sleep(POLL).await;
    }
    give_up(supervisor);
    Err(Failure::unreachable(format!("not ready within {} s: see {}", DEADLINE.as_secs(), log.display())))
}

/// The other process's failure, as our own.
fn failure(status: ExitStatus, log: &Path) -> Failure {
    if status.success() {
        return Failure::try_again("it was stopped before it was ready");
    }
    let printed = std::fs::read_to_string(log).unwrap_or_default();
    let message = printed.lines().rev().find_map(|line| line.strip_prefix("postbox: "));
    let message = message.map_or_else(|| format!("it ended ({status}): see {}", log.display()), str::to_owned);
    match status.code() {
        Some(1) => Failure::found(message),
        Some(64) => Failure::usage(message),
        Some(75) => Failure::try_again(message),
        _ => Failure::unreachable(message),
    }
}

fn give_up(supervisor: &Child) {
    if let Some(identity) = Identity::of(supervisor.id()) {
        identity.signal(Signal::SIGTERM);
    }
}
