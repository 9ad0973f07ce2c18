//! Programs that run beside the test.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// A child that does not outlive its test.
pub struct Process(Child);

impl Process {
    pub fn start(command: &mut Command) -> Self {
        let child = command.env("RUST_LOG", "error").stdout(Stdio::null()).spawn();
        Self(child.unwrap_or_else(|error| panic!("{}: {error}", command.get_program().display())))
    }

    /// It stops in the middle of whatever it does.
    pub fn pause(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// It goes on.
    pub fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.0.id()).unwrap()), signal).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The program of another service. No service depends on another, so cargo does not build it for this test.
pub fn program(service: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_shipping")).with_file_name(service);
    assert!(program.is_file(), "{} is not there; run cargo build -p {service}", program.display());
    program
}

pub fn free_address() -> SocketAddr {
    let [address] = testkit::free_addresses();
    address
}
