//! Stopping what `up` started.

use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::time::{Instant, sleep};

use crate::cli::Common;
use crate::data::DataFolder;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::state::{Identity, State};

const POLL: Duration = Duration::from_millis(20);
/// More than services, Kafka and PostgreSQL may take one after another.
const SUPERVISOR_DEADLINE: Duration = Duration::from_mins(1);
const ORPHAN_DEADLINE: Duration = Duration::from_secs(10);

/// Runs `postbox down`. Nothing to stop is a success.
pub async fn run(common: &Common) -> Result<(), Failure> {
    let data = DataFolder::find(common)?;
    let Some(state) = State::read(&data.state_file())? else {
        println!("{}", told(common.json, false));
        return Ok(());
    };
    let progress = Progress::start("stopping Postbox", common.json);
    state.supervisor.signal(Signal::SIGTERM);
    if !gone_within(&[&state.supervisor], SUPERVISOR_DEADLINE).await {
        state.supervisor.signal(Signal::SIGKILL);
    }
    // a supervisor that stopped by itself left nothing; one that was killed may have
    stop_orphans(&state).await;
    let file = data.state_file();
    if file.exists() {
        std::fs::remove_file(&file).map_err(Failure::io("delete", &file))?;
    }
    progress.finish();
    println!("{}", told(common.json, true));
    Ok(())
}

fn told(json: bool, stopped: bool) -> &'static str {
    match (json, stopped) {
        (true, true) => r#"{"stopped":true}"#,
        (true, false) => r#"{"stopped":false}"#,
        (false, true) => "stopped; the data stays for the next `postbox up`",
        (false, false) => "nothing runs here",
    }
}

/// Services first, PostgreSQL last, as a supervisor would.
async fn stop_orphans(state: &State) {
    for step in [Step::Services, Step::Kafka, Step::Postgres] {
        let processes: Vec<&Identity> =
            state.processes.iter().filter(|(name, _)| Step::of(name) == step).map(|(_, process)| process).collect();
        for process in &processes {
            // SIGTERM would make PostgreSQL wait for its clients
            process.signal(if step == Step::Postgres { Signal::SIGINT } else { Signal::SIGTERM });
        }
        if !gone_within(&processes, ORPHAN_DEADLINE).await {
            for process in &processes {
                process.signal(Signal::SIGKILL);
            }
            gone_within(&processes, ORPHAN_DEADLINE).await;
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Services,
    Kafka,
    Postgres,
}

impl Step {
    fn of(name: &str) -> Self {
        match name {
            "postgres" => Self::Postgres,
            _ if name.starts_with("kafka-") => Self::Kafka,
            _ => Self::Services,
        }
    }
}

async fn gone_within(processes: &[&Identity], deadline: Duration) -> bool {
    let until = Instant::now() + deadline;
    while processes.iter().any(|process| process.is_running()) {
        if Instant::now() >= until {
            return false;
        }
        sleep(POLL).await;
    }
    true
}
