//! Processor time by process, from `/proc`. What a noisy machine does to a rate it does less to this.

use std::{collections::BTreeMap, fs::DirEntry, time::Duration};

use anyhow::{Context, Result};

use crate::platform::Platform;

/// Under this name goes the database server with all its processes, those that have ended among them.
pub const POSTGRES: &str = "postgres";

/// Under this name go the brokers.
pub const KAFKA: &str = "kafka";

/// Under this name goes this process.
pub const LOAD: &str = "load generator";

/// What everybody has used so far, in user mode and in the kernel.
#[derive(Debug, Clone)]
pub struct Used(BTreeMap<String, Duration>);

impl Used {
    /// Of each service, of the servers, and of this process.
    pub fn by(platform: &Platform) -> Result<Self> {
        let mut used = BTreeMap::new();
        for service in platform.services() {
            used.insert(service.name.clone(), of(service.pid)?);
        }
        used.insert(POSTGRES.to_owned(), of_family(platform.postgres_pid())?);
        let brokers = platform.kafka_pids().iter().map(|&pid| of(pid));
        used.insert(KAFKA.to_owned(), brokers.sum::<Result<_>>()?);
        used.insert(LOAD.to_owned(), of(std::process::id())?);
        Ok(Self(used))
    }

    /// What was used since then.
    pub fn since(&self, earlier: &Self) -> Self {
        let since = |(name, now): (&String, &Duration)| {
            let then = earlier.0.get(name).copied().unwrap_or_default();
            (name.clone(), now.saturating_sub(then))
        };
        Self(self.0.iter().map(since).collect())
    }

    /// And of one more.
    pub fn and(mut self, name: &str, used: Duration) -> Self {
        self.0.insert(name.to_owned(), used);
        self
    }

    /// By name.
    pub fn each(&self) -> impl Iterator<Item = (&str, Duration)> {
        self.0.iter().map(|(name, used)| (name.as_str(), *used))
    }

    /// Of these alone.
    pub fn only(mut self, names: &[&str]) -> Self {
        self.0.retain(|name, _| names.contains(&name.as_str()));
        self
    }

    /// Of all together.
    pub fn all(&self) -> Duration {
        self.0.values().sum()
    }
}

/// Whose threads are whose, as far as they live.
pub fn threads(platform: &Platform) -> Result<BTreeMap<u32, String>> {
    let postgres = platform.postgres_pid();
    let services = platform.services().iter().map(|service| (service.pid, service.name.as_str()));
    let others = [(std::process::id(), LOAD), (postgres, POSTGRES)];
    let brokers = platform.kafka_pids().iter().map(|&pid| (pid, KAFKA));
    let backends = children(postgres)?.map(|(pid, _)| (pid, POSTGRES));
    let mut threads = BTreeMap::new();
    for (pid, name) in services.chain(others).chain(brokers).chain(backends) {
        // one that has just ended has none
        for thread in std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten() {
            threads.extend(number(&thread?).map(|thread| (thread, name.to_owned())));
        }
    }
    Ok(threads)
}

/// What an entry of `/proc` has as its name, where that is a number.
fn number(entry: &DirEntry) -> Option<u32> {
    entry.file_name().to_str()?.parse().ok()
}

/// Of one process.
pub fn of(pid: u32) -> Result<Duration> {
    Ok(Stat::read(pid)?.own)
}

/// Whether a process stands still (SIGSTOP).
pub fn stands_still(pid: u32) -> Result<bool> {
    Ok(Stat::read(pid)?.stands_still)
}

/// Of a process, its children, and the children that it has seen end.
fn of_family(parent: u32) -> Result<Duration> {
    let stat = Stat::read(parent)?;
    let own = stat.own + stat.ended_children;
    Ok(children(parent)?.map(|(_, child)| child.own).sum::<Duration>() + own)
}

/// The children of a process that live. One that has ended since is counted by its parent from now on.
fn children(parent: u32) -> Result<impl Iterator<Item = (u32, Stat)>> {
    let child = move |entry: std::io::Result<DirEntry>| {
        let pid = number(&entry.ok()?)?;
        let stat = Stat::read(pid).ok().filter(|child| child.parent == parent)?;
        Some((pid, stat))
    };
    Ok(std::fs::read_dir("/proc")?.filter_map(child))
}

/// What is of interest in `/proc/PID/stat`, see proc_pid_stat(5).
struct Stat {
    stands_still: bool,
    parent: u32,
    own: Duration,
    ended_children: Duration,
}

impl Stat {
    fn read(pid: u32) -> Result<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .with_context(|| format!("the process {pid} has ended, or this is no Linux"))?;
        // the name, in brackets, may have anything in it; the state follows, which is the third field
        let (_, fields) = stat.rsplit_once(')').context("no name in stat")?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let field = |number: usize| -> Result<u32> {
            let field = fields.get(number - 3).with_context(|| format!("no field {number} in stat"))?;
            field.parse().with_context(|| format!("field {number} in stat"))
        };
        // USER_HZ is 100 on every Linux that is met
        let ticks = |user, kernel| Ok::<_, anyhow::Error>(Duration::from_millis(10) * (field(user)? + field(kernel)?));
        let stands_still = fields.first() == Some(&"T");
        Ok(Self { stands_still, parent: field(4)?, own: ticks(14, 15)?, ended_children: ticks(16, 17)? })
    }
}
