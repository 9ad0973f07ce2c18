//! Keeping children running: whoever ends is started again, after a growing delay, until asked to stop.

use std::collections::BTreeMap;
use std::time::Instant;

use local_servers::process::{Launch, Process};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::backoff::Backoff;
use super::log::Log;
use crate::failure::Failure;

/// What is known about a child.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Child {
    /// Its process id while it runs.
    pub pid: Option<u32>,
    /// How often it ended without being asked to.
    pub ends: u32,
    /// How it ended last.
    pub last_end: String,
}

/// All children, by name. Whoever holds a receiver is told of every change.
pub type Children = watch::Sender<BTreeMap<String, Child>>;

/// Children that are looked after, to be stopped together. Dropping them kills them.
#[derive(Debug, Default)]
pub struct Group {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Group {
    /// Starts a child and looks after it. Its output goes to `log` when it is piped.
    pub fn supervise(&mut self, launch: Launch, log: Option<Log>, children: &Children) {
        let (stop, children) = (self.stop.clone(), children.clone());
        self.tasks.push(tokio::spawn(async move { keep_running(&launch, log.as_ref(), &children, &stop).await }));
    }

    /// Asks all to stop, at the same time, and returns when they are gone. Each has the deadline of its launch.
    pub async fn stop(&mut self) {
        self.stop.cancel();
        for task in self.tasks.drain(..) {
            task.await.expect("looking after a child does not panic");
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn keep_running(launch: &Launch, log: Option<&Log>, children: &Children, stop: &CancellationToken) {
    let mut backoff = Backoff::new();
    while !stop.is_cancelled() {
        let began = Instant::now();
        let ended = match launch.spawn() {
            Ok(process) => match until_end(process, log, children, stop).await {
                Some(ended) => ended,
                None => return,
            },
            Err(error) => error.to_string(),
        };
        set(children, &launch.name, |child| {
            child.pid = None;
            child.ends += 1;
            child.last_end = ended;
        });
        tokio::select! {
            () = tokio::time::sleep(backoff.after(began.elapsed())) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Waits until the child ends by itself, and returns how; `None` when it was asked to stop and did.
async fn until_end(
    mut process: Process,
    log: Option<&Log>,
    children: &Children,
    stop: &CancellationToken,
) -> Option<String> {
    let name = process.launch().name.clone();
    set(children, &name, |child| child.pid = process.pid());
    let mut followers = Vec::new();
    if let (Some(log), Some((stdout, stderr))) = (log, process.take_output()) {
        followers.push(tokio::spawn(log.clone().follow(stdout)));
        followers.push(tokio::spawn(log.clone().follow(stderr)));
    }
    let status = tokio::select! {
        status = process.wait() => status,
        () = stop.cancelled() => {
            // what cannot be stopped is killed, and what cannot be killed is gone
            let _ = process.stop().await;
            set(children, &name, |child| child.pid = None);
            return None;
        }
    };
    for follower in followers {
        // ends with the child's last word: its pipes are closed
        let _ = follower.await;
    }
    Some(match (status, log) {
        (Ok(status), Some(log)) => format!("{name} ended by itself ({status}): {}", log.last_line()),
        (Ok(status), None) => process.launch().ended(status).to_string(),
        (Err(error), _) => error.to_string(),
    })
}

fn set(children: &Children, name: &str, change: impl FnOnce(&mut Child)) {
    children.send_modify(|children| change(children.entry(name.to_owned()).or_default()));
}

/// Returns when a child has ended three times, with how: during the start that means that it never will be ready.
pub async fn hopeless(mut children: watch::Receiver<BTreeMap<String, Child>>) -> Failure {
    const TRIES: u32 = 3;
    let hopeless = |children: &BTreeMap<String, Child>| children.values().any(|child| child.ends >= TRIES);
    let Ok(found) = children.wait_for(hopeless).await else {
        return std::future::pending().await;
    };
    let ended = found.values().find(|child| child.ends >= TRIES).map(|child| child.last_end.clone());
    Failure::unreachable(ended.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use local_servers::process::Output;
    use std::time::Duration;

    fn shell(script: &str, folder: &tempfile::TempDir) -> Launch {
        Launch::new("child", "/bin/sh", Output::File(folder.path().join("log"))).args(["-c", script])
    }

    async fn within<T>(deadline: Duration, work: impl Future<Output = T>) -> T {
        tokio::time::timeout(deadline, work).await.expect("it happens in time")
    }

    #[tokio::test]
    async fn a_child_that_was_killed_is_started_again() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let children = Children::default();
        let mut seen = children.subscribe();
        let mut group = Group::default();
        group.supervise(shell("exec sleep 60", &folder), None, &children);

        let runs = |children: &BTreeMap<String, Child>| children.get("child").is_some_and(|child| child.pid.is_some());
        let first = within(Duration::from_secs(10), seen.wait_for(runs)).await.expect("it is watched")["child"].pid;
        let first = crate::identity::Identity::of(first.expect("it runs")).expect("it runs");
        first.signal(nix::sys::signal::Signal::SIGKILL);
        let again = |children: &BTreeMap<String, Child>| runs(children) && children["child"].pid != Some(first.pid);
        let second =
            within(Duration::from_secs(10), seen.wait_for(again)).await.expect("it is watched")["child"].clone();
        assert_eq!(second.ends, 1);

        within(Duration::from_secs(10), group.stop()).await;
        assert_eq!(children.borrow()["child"].pid, None);
    }

    #[tokio::test]
    async fn a_child_that_always_ends_is_hopeless_and_says_why() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let children = Children::default();
        let mut group = Group::default();
        group.supervise(shell("echo DATABASE_URL is not set; exit 64", &folder), None, &children);
        let failure = within(Duration::from_secs(10), hopeless(children.subscribe())).await.to_string();
        assert!(failure.starts_with("child ended by itself (exit status: 64): DATABASE_URL is not set"), "{failure}");
        group.stop().await;
    }
}
