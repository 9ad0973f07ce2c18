//! Starting the whole platform and keeping it running until it is asked to stop.

mod backoff;
mod detach;
mod log;
mod platform;
mod start;
mod supervise;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

pub use self::platform::Platform;
use self::start::Running;
use self::supervise::{Child, Children};
use crate::cli::{Common, UpOptions};
use crate::failure::Failure;
use crate::progress::Progress;
use crate::state::{Identity, State};
use crate::status;

/// Runs `postbox up`: in the foreground until a signal, with `--detach` until everything is ready.
pub async fn run(common: &Common, options: &UpOptions) -> Result<(), Failure> {
    let platform = Platform::find(common, options)?;
    if options.detach {
        return detach::run(common, &platform.data).await;
    }
    if options.in_background {
        // a terminal that is closed must not take the platform with it
        nix::unistd::setsid().map_err(|error| Failure::unreachable(format!("cannot leave the terminal: {error}")))?;
    }
    let _lock = platform.data.lock()?;
    platform.ports.check_free()?;
    let mut stop_signal = StopSignal::listen()?;
    let mut running = Running::default();
    let outcome = tokio::select! {
        failure = keep_up(&platform, &mut running, common, options) => failure,
        () = stop_signal.received() => Ok(()),
    };
    running.stop().await;
    remove(&platform.data.state_file())?;
    outcome
}

/// Starts everything, then looks after it. Returns only when something fails for good.
async fn keep_up(
    platform: &Platform,
    running: &mut Running,
    common: &Common,
    options: &UpOptions,
) -> Result<(), Failure> {
    let children = Children::default();
    let progress = Progress::start("starting Postbox", common.json);
    // the services' output is shown once the start is told
    let shown = Arc::new(AtomicBool::new(false));
    let mut state = platform.at_start();
    // from here on `down` finds this process
    write_state(&state, &children.borrow(), platform)?;
    let starting = async {
        let servers = start::servers(platform, running, &children, &mut state, &progress).await?;
        write_state(&state, &children.borrow(), platform)?;
        start::services(platform, &servers, running, &children, &shown, &progress).await
    };
    tokio::select! {
        started = starting => started?,
        failure = supervise::hopeless(children.subscribe()) => return Err(failure),
    }
    progress.finish();
    state.started = true;
    write_state(&state, &children.borrow(), platform)?;
    if !options.in_background {
        status::print(&status::look(&with_processes(&state, &children.borrow())).await, common.json);
        shown.store(!common.json, Ordering::Relaxed);
    }
    keep_state(&state, children.subscribe(), platform).await
}

/// Writes the state whenever a child starts or ends, for ever.
async fn keep_state(
    state: &State,
    mut children: watch::Receiver<BTreeMap<String, Child>>,
    platform: &Platform,
) -> Result<(), Failure> {
    children.mark_changed();
    while children.changed().await.is_ok() {
        let now = children.borrow_and_update().clone();
        write_state(state, &now, platform)?;
    }
    Ok(())
}

fn write_state(state: &State, children: &BTreeMap<String, Child>, platform: &Platform) -> Result<(), Failure> {
    with_processes(state, children).write(&platform.data.state_file())
}

fn with_processes(state: &State, children: &BTreeMap<String, Child>) -> State {
    let running = |child: &Child| child.pid.and_then(Identity::of);
    let processes = children.iter().filter_map(|(name, child)| Some((name.clone(), running(child)?))).collect();
    State { processes, ..state.clone() }
}

fn remove(file: &Path) -> Result<(), Failure> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Failure::io("delete", file)(error)),
        _ => Ok(()),
    }
}

/// Ctrl-C, `postbox down`, or the terminal being closed.
struct StopSignal {
    kinds: [tokio::signal::unix::Signal; 3],
}

impl StopSignal {
    /// From now on these signals no longer end this process.
    fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::unreachable(format!("cannot hear signals: {error}")));
        let kinds = [listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?, listen(SignalKind::hangup())?];
        Ok(Self { kinds })
    }

    async fn received(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.kinds;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
