//! One PostgreSQL server on loopback.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use sqlx::{Connection, PgConnection};
use tokio::time::{Instant, sleep};

use crate::account::{self, Account};
use crate::process::{Launch, Output, Process};
use crate::{Distribution, Error};

/// The name of the superuser.
pub const SUPERUSER: &str = "postgres";

const INITDB_DEADLINE: Duration = Duration::from_mins(1);
const READY_DEADLINE: Duration = Duration::from_secs(30);
const READY_POLL: Duration = Duration::from_millis(20);
/// The backends of a killed server hold its shared memory for a moment, and a new server that finds it held ends at once.
const CRASH_GRACE: Duration = Duration::from_secs(5);

/// Settings that are given at every start, so that a change here reaches data folders that exist already.
///
/// A commit that was acknowledged is on disk: `fsync` and `synchronous_commit` are said aloud, because the promises of
/// the platform rest on them.
const SETTINGS: [&str; 12] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "max_connections=400",
    "shared_buffers=128MB",
    "log_lock_waits=on",
    "timezone=UTC",
    "log_timezone=UTC",
    "jit=off",
    SCRAM_ITERATIONS,
];

/// The password is 128 random bits, which no number of iterations makes harder to guess; each costs every connection.
const SCRAM_ITERATIONS: &str = "scram_iterations=1";

/// Where a server keeps its data and where it listens.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// A folder of its own; made when missing. Absolute. As root it must be open to the account `nobody`.
    pub data: PathBuf,
    /// The port on 127.0.0.1.
    pub port: u16,
}

/// A PostgreSQL server: prepared on disk, running or not. Dropping it kills it.
#[derive(Debug)]
pub struct Postgres {
    launch: Launch,
    port: u16,
    password: String,
    process: Option<Process>,
}

impl Postgres {
    /// Fails when the account that PostgreSQL would run under cannot reach `data`.
    pub fn check_reachable(data: &Path) -> Result<(), Error> {
        match account::for_postgres()? {
            Some(account) => account.check_can_reach(data),
            None => Ok(()),
        }
    }

    /// Makes the data folder ready: the first time with `initdb` (about a second), later nothing is left to do. Does not
    /// start the server.
    pub async fn prepare(distribution: &Distribution, options: PostgresOptions) -> Result<Self, Error> {
        let PostgresOptions { data, port } = options;
        Self::check_reachable(&data)?;
        let account = account::for_postgres()?;
        std::fs::create_dir_all(&data).map_err(Error::io("create", &data))?;
        if let Some(account) = &account {
            account.own(&data)?;
        }
        let password = password(&data.join("password"), account.as_ref())?;
        let cluster = data.join("cluster");
        if !cluster.is_dir() {
            initdb(distribution, &data, &cluster, account.clone()).await?;
        }
        let mut launch = Launch::new("postgres", distribution.postgres.join("bin/postgres"), log(&data));
        launch = launch.args(["-D".into(), cluster.into_os_string(), "-p".into(), port.to_string().into()]);
        launch = launch.args(SETTINGS.iter().flat_map(|setting| ["-c", setting]));
        // SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for every client to leave
        launch.stop_signal = Signal::SIGINT;
        // an orphan must not leave its backends and shared memory behind, as SIGKILL would
        launch.orphan_signal = Signal::SIGQUIT;
        launch.stop_deadline = Duration::from_secs(20);
        launch.account = account;
        Ok(Self { launch, port, password, process: None })
    }

    /// Starts the server and waits until it answers, 30 s at the most. Does nothing when it runs.
    pub async fn start(&mut self) -> Result<(), Error> {
        if self.process.is_none() {
            self.process = Some(self.launch.spawn()?);
        }
        let began = Instant::now();
        while !self.answers().await {
            let alive = self.process.as_mut().map_or(Ok(()), Process::check_alive);
            if let Err(ended) = alive {
                self.process = None;
                if began.elapsed() > CRASH_GRACE {
                    return Err(ended);
                }
                self.process = Some(self.launch.spawn()?);
            }
            if began.elapsed() > READY_DEADLINE {
                let log = self.launch.log().to_owned();
                return Err(Error::NotReady { name: self.launch.name.clone(), waited: READY_DEADLINE, log });
            }
            sleep(READY_POLL).await;
        }
        Ok(())
    }

    /// Stops it in good order: clients are cut off, nothing that was committed is lost.
    pub async fn stop(&mut self) -> Result<(), Error> {
        match self.process.take() {
            Some(mut process) => process.stop().await.map(drop),
            None => Ok(()),
        }
    }

    /// Kills it, as a crash would. [`Postgres::start`] brings it back on the same port and data.
    pub async fn kill(&mut self) -> Result<(), Error> {
        match self.process.take() {
            Some(mut process) => process.kill().await.map(drop),
            None => Ok(()),
        }
    }

    /// The process id of the server, when it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().and_then(Process::pid)
    }

    /// How to start it, for callers that look after the process themselves.
    pub fn launch(&self) -> &Launch {
        &self.launch
    }

    /// True when it accepts a connection and answers.
    pub async fn answers(&self) -> bool {
        let connecting = PgConnection::connect(&self.superuser_url());
        match tokio::time::timeout(Duration::from_secs(2), connecting).await {
            Ok(Ok(connection)) => connection.close().await.is_ok(),
            _ => false,
        }
    }

    /// `postgres://…` of the superuser, with the password, for the database `postgres`.
    pub fn superuser_url(&self) -> String {
        format!("postgres://{SUPERUSER}:{}@127.0.0.1:{}/postgres", self.password, self.port)
    }
}

fn log(data: &Path) -> Output {
    Output::File(data.join("postgres.log"))
}

/// The password in `file`; a new one when there is no such file. Readable by the server's account only.
fn password(file: &Path, account: Option<&Account>) -> Result<String, Error> {
    if file.exists() {
        return std::fs::read_to_string(file).map_err(Error::io("read", file));
    }
    let password = format!("{:032x}", rand::random::<u128>());
    let mut created =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(Error::io("create", file))?;
    created.write_all(password.as_bytes()).map_err(Error::io("write", file))?;
    if let Some(account) = account {
        account.own(file)?;
    }
    Ok(password)
}

/// Makes the cluster in a folder beside `cluster`, then renames it: a start that was cut short leaves no half of one.
async fn initdb(
    distribution: &Distribution,
    data: &Path,
    cluster: &Path,
    account: Option<Account>,
) -> Result<(), Error> {
    let scratch = data.join("cluster.new");
    if scratch.exists() {
        std::fs::remove_dir_all(&scratch).map_err(Error::io("delete", &scratch))?;
    }
    let mut initdb = Launch::new("initdb", distribution.postgres.join("bin/initdb"), log(data));
    initdb = initdb.args(["-D".into(), scratch.clone().into_os_string()]);
    initdb = initdb.args([format!("--username={SUPERUSER}"), format!("--pwfile={}", data.join("password").display())]);
    // one locale on every machine, whatever is installed there
    initdb = initdb.args(["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]);
    initdb = initdb.args(["--auth-host=scram-sha-256", "--auth-local=reject", "--no-instructions"]);
    initdb = initdb.args(["-c", SCRAM_ITERATIONS]);
    initdb.account = account;
    initdb.run(INITDB_DEADLINE).await?;
    std::fs::rename(&scratch, cluster).map_err(Error::io("create", cluster))
}
