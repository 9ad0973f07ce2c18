//! Payment and the card network as processes.

use std::{
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use testkit::TestDatabase;

use crate::{platform::free_address, post::Post};

/// A child that does not outlive its test.
pub struct Process(Child);

impl Process {
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.0.id()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    pub fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Payment, and where it answers.
pub struct PaymentProcess {
    pub process: Process,
    pub address: SocketAddr,
    pub ops_address: SocketAddr,
}

impl PaymentProcess {
    pub fn spawn(database: &TestDatabase, post: &Post, psp: SocketAddr, order: SocketAddr) -> Self {
        let (address, ops_address) = (free_address(), free_address());
        let mut command = Command::new(env!("CARGO_BIN_EXE_payment"));
        command
            .arg("serve")
            .env("DATABASE_URL", &database.app_url)
            .env("KAFKA_BOOTSTRAP_SERVERS", &post.kafka.bootstrap)
            .env("KAFKA_NAMESPACE", &post.kafka.namespace)
            .env("LISTEN_ADDR", address.to_string())
            .env("OPS_ADDR", ops_address.to_string())
            .env("PSP_URL", format!("http://{psp}"))
            .env("ORDER_URL", format!("http://{order}"))
            .env("RUST_LOG", "error")
            .stdout(Stdio::null());
        Self { process: Process(command.spawn().unwrap()), address, ops_address }
    }
}

/// The card network on these books.
pub fn spawn_psp(books: &Path, address: SocketAddr) -> Process {
    // a service never depends on another, so cargo does not build psp for this test
    let binary = Path::new(env!("CARGO_BIN_EXE_payment")).with_file_name("psp");
    let mut command = Command::new(&binary);
    command
        .arg("serve")
        .env("LISTEN_ADDR", address.to_string())
        .env("OPS_ADDR", free_address().to_string())
        .env("PSP_BOOKS", books)
        .env("RUST_LOG", "error")
        .stdout(Stdio::null());
    Process(command.spawn().unwrap_or_else(|error| panic!("{}: {error}; run cargo build -p psp", binary.display())))
}
