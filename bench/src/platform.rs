//! A platform of the benchmark's own, as `postbox up` starts it.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Output,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use tempfile::TempDir;
use tokio::process::Command;

use crate::figure::Figures;

/// Memory is read so long after the platform is ready.
const IDLE: Duration = Duration::from_secs(3);

/// The platform, running.
#[derive(Debug)]
pub struct Platform {
    data: TempDir,
    status: Status,
    ready_at: Instant,
}

/// What `postbox status --json` tells.
#[derive(Debug, Deserialize)]
struct Status {
    services: Vec<Service>,
    postgres: Postgres,
}

/// The database server.
#[derive(Debug, Deserialize)]
struct Postgres {
    url: String,
}

/// A running service.
#[derive(Debug, Deserialize)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Its process.
    pub pid: u32,
    /// Where it answers; none when nobody calls it.
    pub url: Option<String>,
}

impl Platform {
    /// Starts it from built programs and fetched jars, and measures how long that takes.
    pub async fn up(figures: &mut Figures) -> Result<Self> {
        let began = Instant::now();
        let platform = Self::up_with(None).await?;
        figures.milliseconds("postbox up, from nothing to ready", platform.ready_at - began);
        Ok(platform)
    }

    /// Starts it, with this variable for all services.
    pub async fn up_with(variable: Option<(&str, OsString)>) -> Result<Self> {
        let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        let data = tempfile::Builder::new().prefix("postbox-bench-").permissions(everybody).tempdir()?;
        let port_base = local_servers::ports::free_run(32)?.to_string();
        postbox(data.path(), &["up", "--detach", "--port-base", &port_base], variable).await?;
        let ready_at = Instant::now();
        let status = postbox(data.path(), &["status", "--json"], None).await?;
        let status = serde_json::from_slice(&status.stdout).context("the status cannot be read")?;
        Ok(Self { data, status, ready_at })
    }

    /// Stops it.
    pub async fn down(self) -> Result<()> {
        postbox(self.data.path(), &["down"], None).await?;
        Ok(())
    }

    /// Every service.
    pub fn services(&self) -> &[Service] {
        &self.status.services
    }

    /// Where a service answers.
    pub fn url(&self, name: &str) -> Result<&str> {
        let service = self.services().iter().find(|service| service.name == name);
        let url = service.with_context(|| format!("{name} does not run"))?.url.as_deref();
        url.with_context(|| format!("nobody can call {name}"))
    }

    /// A database, as the superuser.
    pub fn database_url(&self, name: &str) -> String {
        let (server, _) = self.status.postgres.url.rsplit_once('/').unwrap_or((&self.status.postgres.url, ""));
        format!("{server}/{name}")
    }

    /// Resident memory of each service that has nothing to do.
    pub async fn memory_when_idle(&self, figures: &mut Figures) -> Result<()> {
        tokio::time::sleep(IDLE).await;
        self.memory("idle", figures)
    }

    /// Resident memory of each service after orders were placed.
    pub fn memory_after_load(&self, figures: &mut Figures) -> Result<()> {
        self.memory("after load", figures)
    }

    /// Processor time that all services have used together.
    pub fn processor_time(&self) -> Result<Duration> {
        self.services().iter().map(|service| processor_time(service.pid)).sum()
    }

    fn memory(&self, when: &str, figures: &mut Figures) -> Result<()> {
        let mut all = 0;
        for service in self.services() {
            let resident = resident_kibibytes(service.pid)?;
            figures.mebibytes(format!("{} resident, {when}", service.name), resident);
            all += resident;
        }
        figures.mebibytes(format!("all services resident, {when}"), all);
        Ok(())
    }
}

/// Processor time that a process has used, in user mode and in the kernel.
fn processor_time(pid: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("this needs Linux")?;
    // the name, in brackets, may have anything in it
    let (_, fields) = stat.rsplit_once(')').context("no name in stat")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u32>);
    let ticks: u32 = ticks.sum::<Result<u32, _>>().context("no times in stat")?;
    // USER_HZ is 100 on every Linux that is met
    Ok(Duration::from_millis(10) * ticks)
}

fn resident_kibibytes(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).context("this needs Linux")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    line.trim().trim_end_matches("kB").trim().parse().context("VmRSS is no number")
}

/// The program `name` that lies beside this one.
pub fn program(name: &str) -> Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name(name))
}

async fn postbox(data: &Path, args: &[&str], variable: Option<(&str, OsString)>) -> Result<Output> {
    let mut command = Command::new(program("postbox")?);
    let output = command.arg("--data").arg(data).args(args).envs(variable).output().await?;
    if !output.status.success() {
        bail!("postbox {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
    }
    Ok(output)
}
