//! A platform of the benchmark's own, as `postbox up` starts it.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Output,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;
use tokio::process::Command;

use crate::{figure::Figures, processor};

/// With this `postbox audit` ends when it has found something wrong.
const VIOLATION: i32 = 1;

/// Memory is read so long after the platform is ready.
const IDLE: Duration = Duration::from_secs(3);

/// The platform, running.
#[derive(Debug)]
pub struct Platform {
    data: TempDir,
    status: Status,
    ready_at: Instant,
    /// False once it was stopped.
    is_up: bool,
}

/// What `postbox status --json` tells.
#[derive(Debug, Deserialize)]
struct Status {
    services: Vec<Service>,
    postgres: Postgres,
    kafka: Kafka,
}

/// Under load parcels stay where they are: one that moves on by itself, a minute after its order, is work in the middle of another slice.
const PARCELS_STAY: (&str, &str) = ("DISPATCH_AFTER", "86400");

/// The database server.
#[derive(Debug, Deserialize)]
struct Postgres {
    url: String,
    pid: u32,
}

/// The brokers.
#[derive(Debug, Deserialize)]
struct Kafka {
    bootstrap: String,
    pids: Vec<u32>,
}

/// How to start the platform.
#[derive(Debug, Default)]
pub struct Start {
    /// What the databases begin with, and how Kafka runs; none: as `postbox up` does unasked.
    pub profile: Option<&'static str>,
    /// Variables for all services.
    pub variables: Vec<(&'static str, OsString)>,
}

impl Start {
    /// 2,000 products that never run out, no limits, Kafka at full speed; parcels do not move on by themselves.
    pub fn for_load() -> Self {
        let (name, seconds) = PARCELS_STAY;
        Self { profile: Some("bench"), variables: vec![(name, seconds.into())] }
    }

    /// With a variable more for all services.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.variables.push((name, value.into()));
        self
    }
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
    /// Where operators ask.
    pub ops_url: String,
}

impl Platform {
    /// Starts it from built programs and fetched jars, and measures how long that takes.
    pub async fn up(figures: &mut Figures) -> Result<Self> {
        let began = Instant::now();
        let platform = Self::up_with(Start::default()).await?;
        figures.milliseconds("postbox up, from nothing to ready", platform.ready_at - began);
        Ok(platform)
    }

    /// Starts it so.
    pub async fn up_with(start: Start) -> Result<Self> {
        let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        let data = tempfile::Builder::new().prefix("postbox-bench-").permissions(everybody).tempdir()?;
        let port_base = local_servers::ports::free_run(32)?.to_string();
        let mut up = vec!["up", "--detach", "--port-base", &port_base];
        up.extend(start.profile.iter().flat_map(|profile| ["--profile", profile]));
        postbox(data.path(), &up, start.variables).await?;
        let ready_at = Instant::now();
        let status = postbox(data.path(), &["status", "--json"], Vec::new()).await?;
        let status = serde_json::from_slice(&status.stdout).context("the status cannot be read")?;
        Ok(Self { data, status, ready_at, is_up: true })
    }

    /// Stops it.
    pub async fn down(mut self) -> Result<()> {
        self.is_up = false;
        postbox(self.data.path(), &["down"], Vec::new()).await?;
        Ok(())
    }

    /// Checks every promise of the platform, and that it has kept what the journal says was acknowledged. Fails with what
    /// `postbox audit` found.
    pub async fn audit(&self, journal: &Path) -> Result<()> {
        let mut command = Command::new(program("postbox")?);
        command.arg("--data").arg(self.data.path()).args(["audit", "--journal"]).arg(journal);
        let output = command.output().await?;
        if output.status.success() {
            return Ok(());
        }
        let (found, last) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let verdict = match output.status.code() {
            Some(VIOLATION) => "a promise was broken",
            _ => "the audit could not be made",
        };
        bail!("VOID: {verdict}, so no figure of this run counts\n{found}\n{}", last.trim());
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

    /// The names of all databases.
    pub async fn databases(&self) -> Result<Vec<String>> {
        let mut server = PgConnection::connect(&self.status.postgres.url).await?;
        let names = "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1";
        Ok(sqlx::query_scalar(names).fetch_all(&mut server).await?)
    }

    /// Has the server look at what was seeded, as it does by itself within minutes: plans must not change during a run.
    pub async fn analyze(&self) -> Result<()> {
        for database in self.databases().await? {
            PgConnection::connect(&self.database_url(&database)).await?.execute("ANALYZE").await?;
        }
        Ok(())
    }

    /// The process of the database server, whose children are its backends.
    pub fn postgres_pid(&self) -> u32 {
        self.status.postgres.pid
    }

    /// The brokers, as clients are told them.
    pub fn kafka_bootstrap(&self) -> &str {
        &self.status.kafka.bootstrap
    }

    /// The processes of the brokers.
    pub fn kafka_pids(&self) -> &[u32] {
        &self.status.kafka.pids
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
        self.services().iter().map(|service| processor::of(service.pid)).sum()
    }

    /// Resident memory of all services together.
    pub fn resident_kibibytes(&self) -> Result<u64> {
        self.services().iter().map(|service| resident_kibibytes(service.pid)).sum()
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

/// Resident memory of one process.
pub fn resident_kibibytes(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).context("this needs Linux")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    line.trim().trim_end_matches("kB").trim().parse().context("VmRSS is no number")
}

/// Starts a platform for load, does this with it, and stops it.
pub async fn under_load(work: impl AsyncFnOnce(&Platform) -> Result<()>) -> Result<()> {
    with(Start::for_load(), work).await
}

/// Starts a platform, does this with it, and stops it.
pub async fn with(start: Start, work: impl AsyncFnOnce(&Platform) -> Result<()>) -> Result<()> {
    let platform = Platform::up_with(start).await?;
    let worked = work(&platform).await;
    let down = platform.down().await;
    worked.and(down)
}

/// The program `name` that lies beside this one.
pub fn program(name: &str) -> Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name(name))
}

impl Drop for Platform {
    /// Whoever ends early, by an error or by Ctrl-C, leaves nothing running.
    fn drop(&mut self) {
        if let (true, Ok(postbox)) = (self.is_up, program("postbox")) {
            let down = std::process::Command::new(postbox).arg("--data").arg(self.data.path()).arg("down").output();
            if let Err(error) = down {
                eprintln!("the platform in {} still runs: {error}", self.data.path().display());
            }
        }
    }
}

async fn postbox(data: &Path, args: &[&str], variables: Vec<(&str, OsString)>) -> Result<Output> {
    let mut command = Command::new(program("postbox")?);
    let output = command.arg("--data").arg(data).args(args).envs(variables).output().await?;
    if !output.status.success() {
        bail!("postbox {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
    }
    Ok(output)
}
