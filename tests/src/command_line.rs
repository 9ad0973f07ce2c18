//! The command line, told where a test's platform is.

use std::{fs::File, path::PathBuf, process::Stdio};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use postbox::state::{Identity, State};
use serde_json::Value;
use tempfile::TempDir;
use testkit::SOON;
use tokio::process::{Child, Command};

use crate::platform::Platform;

/// `postbox` with a data folder that leads to a platform.
#[derive(Debug)]
pub struct CommandLine {
    program: PathBuf,
    data: TempDir,
    namespace: String,
}

/// A command that was started.
#[derive(Debug)]
pub struct Running {
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl CommandLine {
    /// As `postbox up` would have left it behind for this platform.
    pub fn of(platform: &Platform) -> Self {
        let data = tempfile::tempdir().expect("a temporary folder can be made");
        let state = State {
            supervisor: Identity::own(),
            started: true,
            profile: "demo".to_owned(),
            bootstrap: platform.kafka.bootstrap.clone(),
            postgres_url: String::new(),
            databases: platform.database_urls(),
            services: platform.addresses(),
            processes: std::collections::BTreeMap::new(),
        };
        state.write(&data.path().join("state.json")).unwrap_or_else(|error| panic!("{error}"));
        std::fs::create_dir_all(data.path().join("secrets")).expect("the data folder can be written");
        let namespace = platform.kafka.namespace.clone();
        Self { program: platform.site().program("postbox"), data, namespace }
    }

    /// From now on a service is somewhere else.
    pub fn put_service(&self, name: &str, url: &str) {
        let file = self.data.path().join("state.json");
        let state = State::read(&file).unwrap_or_else(|error| panic!("{error}"));
        let mut state = state.expect("it was written");
        let service = state.services.iter_mut().find(|service| service.name == name).expect("there is such a service");
        service.url = Some(url.to_owned());
        state.write(&file).unwrap_or_else(|error| panic!("{error}"));
    }

    /// The items that a command lists.
    pub async fn items(&self, arguments: &[&str]) -> Vec<Value> {
        let said = self.start(&[arguments, &["--json"]].concat()).succeeds().await;
        let list: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
        list["items"].as_array().unwrap_or_else(|| panic!("no list: {said}")).clone()
    }

    /// Starts `postbox` with these arguments.
    pub fn start(&self, arguments: &[&str]) -> Running {
        let outputs = tempfile::tempdir_in(self.data.path()).expect("the data folder can be written").keep();
        let (out, err) = (outputs.join("out"), outputs.join("err"));
        let file = |path| Stdio::from(File::create(path).expect("the data folder can be written"));
        let child = Command::new(&self.program)
            .args(arguments)
            .arg("--data")
            .arg(self.data.path())
            .env("KAFKA_NAMESPACE", &self.namespace)
            .stdin(Stdio::null())
            .stdout(file(&out))
            .stderr(file(&err))
            .kill_on_drop(true)
            .spawn()
            .expect("the program is built");
        Running { child, out, err }
    }
}

impl Running {
    /// What it has printed so far.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.out).expect("it is text")
    }

    /// Waits until it ends well, and gives what it has printed.
    pub async fn succeeds(mut self) -> String {
        let code = self.ends().await;
        assert_eq!(code, Some(0), "{}{}", self.said(), self.complaint());
        self.said()
    }

    /// Waits until it ends with this exit code, and gives its complaint.
    pub async fn fails_with(mut self, code: i32) -> String {
        assert_eq!(self.ends().await, Some(code), "{}{}", self.said(), self.complaint());
        self.complaint()
    }

    /// Waits until it ends with this exit code, and gives what it has printed.
    pub async fn prints_and_fails_with(mut self, code: i32) -> String {
        assert_eq!(self.ends().await, Some(code), "{}{}", self.said(), self.complaint());
        self.said()
    }

    /// Panics with its complaint when it has ended by itself.
    pub fn check_alive(&mut self) {
        if let Ok(Some(status)) = self.child.try_wait() {
            panic!("it has ended ({status}): {}", self.complaint());
        }
    }

    /// Ctrl-C.
    pub fn interrupt(&self) {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok()).expect("it runs");
        kill(Pid::from_raw(pid), Signal::SIGINT).expect("it is our child");
    }

    /// Waits until it ends, well or not, and gives what it has printed.
    pub async fn result(mut self) -> String {
        self.ends().await;
        self.said()
    }

    fn complaint(&self) -> String {
        std::fs::read_to_string(&self.err).expect("it is text")
    }

    async fn ends(&mut self) -> Option<i32> {
        let ended = tokio::time::timeout(SOON * 4, self.child.wait()).await.expect("it ends");
        ended.expect("it can be waited for").code()
    }
}
