//! Analytics as a process of its own, to be killed and paused.

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use testkit::TestDatabase;
use tokio::process::{Child, Command};

use crate::post::Post;

/// A process that dies with this.
pub struct Program {
    child: Child,
}

impl Program {
    /// Starts `analytics serve`.
    pub fn start(database: &TestDatabase, post: &Post) -> Self {
        let [listen_addr, ops_addr] = testkit::free_addresses();
        let child = Command::new(env!("CARGO_BIN_EXE_analytics"))
            .arg("serve")
            .env("DATABASE_URL", &database.app_url)
            .env("DATABASE_CONNECTIONS", "2")
            .env("KAFKA_BOOTSTRAP_SERVERS", &post.kafka.bootstrap)
            .env("KAFKA_NAMESPACE", &post.kafka.namespace)
            .env("LISTEN_ADDR", listen_addr.to_string())
            .env("OPS_ADDR", ops_addr.to_string())
            // what a process that is killed has to say is not worth reading; change this to see it
            .env("RUST_LOG", "off")
            .kill_on_drop(true)
            .spawn()
            .expect("cargo has built it");
        Self { child }
    }

    /// Its process, for [`send`].
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().and_then(|id| i32::try_from(id).ok()).expect("it runs"))
    }

    /// kill -9, and waits until it is gone.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("it can be killed");
    }

    /// SIGTERM, and waits until it has ended in order.
    pub async fn stop(mut self) {
        send(self.pid(), Signal::SIGTERM);
        let ended = tokio::time::timeout(testkit::SOON, self.child.wait()).await;
        assert!(ended.expect("it ends soon").expect("it was not waited for before").success());
    }
}

/// Sends a signal at once.
pub fn send(process: Pid, signal: Signal) {
    kill(process, signal).expect("it is our child");
}
