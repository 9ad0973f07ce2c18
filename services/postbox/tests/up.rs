//! `up` with real servers and one small service: it keeps them running, and leaves nothing behind.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;
use testkit::eventually_some;

const DEADLINE: Duration = Duration::from_secs(30);
const PORTS_NEEDED: u16 = 5;

/// A workspace with one service, the programs, and a data folder.
struct Platform {
    folder: TempDir,
    port_base: u16,
}

impl Platform {
    fn new() -> Self {
        let built = Path::new(env!("CARGO_BIN_EXE_postbox"));
        let follower = built.with_file_name("examples").join("follower");
        // readable for the account that runs PostgreSQL when the tests run as root
        let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        let folder = tempfile::Builder::new().permissions(everybody).tempdir().expect("a temporary folder");
        let service = folder.path().join("services/follower");
        std::fs::create_dir_all(&service).expect("it is new");
        let manifest = "name = \"follower\"\nport = 1\nops_port = 2\nserve = \"http\"\ntopics = [\"letters.v1\"]\n";
        std::fs::write(service.join("service.toml"), manifest).expect("it is writable");
        std::fs::write(folder.path().join("Cargo.toml"), "").expect("it is writable");
        std::fs::copy(built, folder.path().join("postbox")).expect("it is built");
        std::fs::copy(follower, folder.path().join("follower")).expect("examples are built with the tests");
        let port_base = local_servers::ports::free_run(PORTS_NEEDED).expect("there are free ports");
        Self { folder, port_base }
    }

    fn postbox(&self, arguments: &[&str]) -> Output {
        Command::new(self.folder.path().join("postbox"))
            .args(arguments)
            .args(["--json", "--root"])
            .arg(self.folder.path())
            .arg("--data")
            .arg(self.folder.path().join("data"))
            .output()
            .expect("the program starts")
    }

    fn up(&self) {
        let output = self.postbox(&["up", "--detach", "--port-base", &self.port_base.to_string()]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// What runs, once all of it is ready.
    async fn ready(&self) -> Status {
        eventually_some(DEADLINE, "everything is ready", async || self.status()).await
    }

    /// What runs, when all of it is ready.
    fn status(&self) -> Option<Status> {
        let output = self.postbox(&["status"]);
        output.status.success().then(|| Status(serde_json::from_slice(&output.stdout).expect("it prints JSON")))
    }

    fn supervisor(&self) -> Pid {
        let state = std::fs::read(self.folder.path().join("data/state.json")).expect("it runs");
        let state: Value = serde_json::from_slice(&state).expect("it is JSON");
        pid(&state["supervisor"]["pid"])
    }

    fn all_ports_are_free(&self) -> bool {
        (self.port_base..self.port_base + PORTS_NEEDED).all(local_servers::ports::is_free)
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        self.postbox(&["down"]);
    }
}

struct Status(Value);

impl Status {
    fn pids(&self) -> [Pid; 3] {
        [&self.0["services"][0]["pid"], &self.0["kafka"]["pids"][0], &self.0["postgres"]["pid"]].map(pid)
    }
}

fn pid(value: &Value) -> Pid {
    let number = value.as_i64().and_then(|pid| i32::try_from(pid).ok());
    Pid::from_raw(number.expect("it runs"))
}

#[tokio::test]
async fn whoever_is_killed_comes_back_and_down_leaves_nothing() {
    let platform = Platform::new();
    platform.up();
    let before = platform.ready().await.pids();

    for killed in before {
        kill(killed, Signal::SIGKILL).expect("it runs");
    }
    let after = eventually_some(DEADLINE, "all three are new and ready", async || {
        let pids = platform.status()?.pids();
        pids.iter().all(|pid| !before.contains(pid)).then_some(pids)
    })
    .await;
    let log = platform.postbox(&["logs", "follower"]);
    assert_eq!(String::from_utf8_lossy(&log.stdout).lines().count(), 2, "it started twice");

    let down = platform.postbox(&["down"]);
    assert_eq!(String::from_utf8_lossy(&down.stdout), "{\"stopped\":true}\n");
    assert!(platform.all_ports_are_free());
    assert!(after.iter().all(|&pid| kill(pid, None).is_err()), "no process is left");
    assert!(!platform.folder.path().join("data/state.json").exists());
    assert_eq!(platform.postbox(&["status"]).status.code(), Some(69));

    platform.up();
    platform.ready().await;
}

/// Only Linux ends the children of a killed process; elsewhere `down` does.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_killed_supervisor_takes_its_children_along() {
    let platform = Platform::new();
    platform.up();
    platform.ready().await;
    kill(platform.supervisor(), Signal::SIGKILL).expect("it runs");
    testkit::eventually(DEADLINE, "all ports are free again", async || platform.all_ports_are_free()).await;
    platform.up();
    platform.ready().await;
}

#[test]
fn a_second_platform_is_told_which_port_is_taken_and_by_whom() {
    let platform = Platform::new();
    let listener = std::net::TcpListener::bind(("127.0.0.1", platform.port_base + 2)).expect("it was free");
    let output = platform.postbox(&["up", "--port-base", &platform.port_base.to_string()]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(75), "{said}");
    let port = listener.local_addr().expect("it is bound").port();
    assert!(said.contains(&format!("port {port} is in use, and kafka-1 needs it")), "{said}");
}
