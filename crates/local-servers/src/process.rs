//! Starting, stopping and killing a child process, and making sure that it does not outlive its parent.
//!
//! A parent that is killed with SIGKILL cannot stop its children. On Linux the kernel does it: each child is started
//! through `setpriv --pdeathsig` (util-linux), which execs the program, so the pid is the program's own. Asking the
//! kernel ourselves would need `unsafe` code between fork and exec. Where `setpriv` is missing (macOS), children outlive
//! a killed parent; `postbox down` finds them through the state file.
//!
//! The kernel watches the **thread** that started the child. Start children from a thread that lives as long as the
//! process: the main thread of a current-thread runtime.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

use crate::Error;
use crate::account::Account;

/// How to start a program, and how to stop it.
#[derive(Debug, Clone)]
pub struct Launch {
    /// What people call it: `postgres`, `kafka-1`, a service's name.
    pub name: String,
    /// The program file.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Variables that are set for it, beside those it inherits.
    pub env: BTreeMap<String, String>,
    /// Where its standard output and error go.
    pub output: Output,
    /// The signal that asks it to stop.
    pub stop_signal: Signal,
    /// How long it may take to stop before it is killed.
    pub stop_deadline: Duration,
    /// The signal that the kernel sends it when its parent dies.
    pub orphan_signal: Signal,
    pub(crate) account: Option<Account>,
}

/// Where a program's standard output and error go.
#[derive(Debug, Clone)]
pub enum Output {
    /// To the end of a file.
    File(PathBuf),
    /// To whoever takes them with [`Process::take_output`].
    Piped,
}

impl Launch {
    /// A program that runs as the present user, is asked to stop with SIGTERM and has 10 s for it.
    pub fn new(name: impl Into<String>, program: impl Into<PathBuf>, output: Output) -> Self {
        Self {
            name: name.into(),
            program: program.into(),
            args: Vec::new(),
            env: BTreeMap::new(),
            output,
            stop_signal: Signal::SIGTERM,
            stop_deadline: Duration::from_secs(10),
            orphan_signal: Signal::SIGKILL,
            account: None,
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Starts the program in a process group of its own: Ctrl-C on the terminal reaches the parent only, which stops
    /// its children in their order.
    pub fn spawn(&self) -> Result<Process, Error> {
        let mut command = self.command();
        match &self.output {
            Output::File(path) => {
                let log = append_to(path)?;
                let copy = log.try_clone().map_err(Error::io("open", path))?;
                command.stdout(log).stderr(copy);
            }
            Output::Piped => {
                command.stdout(Stdio::piped()).stderr(Stdio::piped());
            }
        }
        command.stdin(Stdio::null()).process_group(0).kill_on_drop(true);
        let child = command.spawn().map_err(Error::io("start", &self.program))?;
        Ok(Process { launch: self.clone(), child })
    }

    /// Runs the program to its end. Fails when it takes longer than `deadline` or does not exit with 0.
    pub async fn run(&self, deadline: Duration) -> Result<(), Error> {
        let mut process = self.spawn()?;
        let Ok(status) = tokio::time::timeout(deadline, process.wait()).await else {
            process.kill().await?;
            return Err(Error::NotReady { name: self.name.clone(), waited: deadline, log: self.log().to_owned() });
        };
        let status = status?;
        if status.success() { Ok(()) } else { Err(self.ended(status)) }
    }

    /// The error of this program having ended with `status`.
    pub fn ended(&self, status: ExitStatus) -> Error {
        Error::Ended {
            name: self.name.clone(),
            status: status.to_string(),
            last_line: last_line(self.log()).unwrap_or_else(|| "it logged nothing".to_owned()),
            log: self.log().to_owned(),
        }
    }

    /// The log file; empty when the output is piped.
    pub fn log(&self) -> &Path {
        match &self.output {
            Output::File(path) => path,
            Output::Piped => Path::new(""),
        }
    }

    fn command(&self) -> Command {
        let mut command = match setpriv() {
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                command.arg("--pdeathsig").arg(self.orphan_signal.as_str().trim_start_matches("SIG")).arg("--");
                command.arg(&self.program);
                command
            }
            None => Command::new(&self.program),
        };
        command.args(&self.args).envs(&self.env);
        if let Some(account) = &self.account {
            // as root this also clears the supplementary groups
            command.uid(account.uid).gid(account.gid).current_dir("/");
        }
        command
    }
}

/// A running child. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    launch: Launch,
    child: Child,
}

impl Process {
    /// The process id, `None` once its end was waited for.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// How it was started.
    pub fn launch(&self) -> &Launch {
        &self.launch
    }

    /// Its standard output and error, once, when they are [`Output::Piped`].
    pub fn take_output(&mut self) -> Option<(ChildStdout, ChildStderr)> {
        self.child.stdout.take().zip(self.child.stderr.take())
    }

    /// Fails when it has ended.
    pub fn check_alive(&mut self) -> Result<(), Error> {
        match self.child.try_wait().map_err(Error::io("wait for", &self.launch.program))? {
            None => Ok(()),
            Some(status) => Err(self.launch.ended(status)),
        }
    }

    /// Waits for its end, without a limit: give one. Cancelling the wait loses nothing.
    pub async fn wait(&mut self) -> Result<ExitStatus, Error> {
        self.child.wait().await.map_err(Error::io("wait for", &self.launch.program))
    }

    /// Asks it to stop, and kills it when it takes longer than its deadline. Returns when it is gone, with how it ended.
    pub async fn stop(&mut self) -> Result<ExitStatus, Error> {
        self.signal(self.launch.stop_signal);
        match tokio::time::timeout(self.launch.stop_deadline, self.wait()).await {
            Ok(ended) => ended,
            Err(_) => self.kill().await,
        }
    }

    /// Kills it with SIGKILL. Returns when it is gone, with how it ended.
    pub async fn kill(&mut self) -> Result<ExitStatus, Error> {
        self.signal(Signal::SIGKILL);
        self.wait().await
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid().and_then(|pid| i32::try_from(pid).ok()) {
            // a process that has just ended by itself cannot be signalled, and need not be
            let _ = signal::kill(Pid::from_raw(pid), signal);
        }
    }
}

/// `setpriv` of util-linux, when this machine has one that knows `--pdeathsig`.
fn setpriv() -> Option<&'static Path> {
    static FOUND: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
        let path = on_path("setpriv")?;
        let help = std::process::Command::new(&path).arg("--help").output().ok()?;
        String::from_utf8_lossy(&help.stdout).contains("--pdeathsig").then_some(path)
    });
    FOUND.as_deref()
}

/// The program file that `name` means on `PATH`.
pub fn on_path(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join(name)).find(|file| file.is_file())
}

fn append_to(path: &Path) -> Result<File, Error> {
    OpenOptions::new().create(true).append(true).open(path).map_err(Error::io("open", path))
}

/// The last line with anything on it in the last 4 KiB of `path`.
fn last_line(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(4096))).ok()?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail).ok()?;
    let tail = String::from_utf8_lossy(&tail);
    tail.lines().rev().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, dir: &tempfile::TempDir) -> Launch {
        Launch::new("shell", "/bin/sh", Output::File(dir.path().join("log"))).args(["-c", script])
    }

    #[tokio::test]
    async fn a_program_that_fails_is_reported_with_the_last_line_of_its_log() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let error = shell("echo first; echo the reason >&2; exit 3", &dir).run(Duration::from_secs(10)).await;
        let error = error.expect_err("it exits with 3").to_string();
        assert!(error.starts_with("shell ended by itself (exit status: 3): the reason"), "{error}");
    }

    #[tokio::test]
    async fn a_program_that_ignores_the_request_to_stop_is_killed() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut launch = shell("trap '' TERM; echo deaf; while :; do sleep 0.1; done", &dir);
        launch.stop_deadline = Duration::from_millis(200);
        let mut process = launch.spawn().expect("a shell starts");
        while last_line(launch.log()).is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        process.stop().await.expect("it is killed");
        assert_eq!(process.pid(), None);
    }

    #[tokio::test]
    async fn a_program_that_takes_too_long_is_killed() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let error = shell("exec sleep 60", &dir).run(Duration::from_millis(100)).await;
        assert!(matches!(error, Err(Error::NotReady { .. })), "{error:?}");
    }
}
