//! Children that do not outlive their test.

use std::{net::SocketAddr, process::Child};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// A running child.
pub struct Process(pub Child);

impl Process {
    /// kill -9.
    pub fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// SIGTERM.
    pub fn ask_to_end(&self) {
        kill(Pid::from_raw(i32::try_from(self.0.id()).unwrap()), Signal::SIGTERM).unwrap();
    }

    /// Whether it ended and did so well; none while it goes on.
    pub fn has_ended_well(&mut self) -> Option<bool> {
        self.0.try_wait().unwrap().map(|status| status.success())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Where nothing listens.
pub fn free_address() -> SocketAddr {
    let [address] = testkit::free_addresses();
    address
}
