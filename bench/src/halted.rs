//! A process that stands still (SIGSTOP): it keeps all that it has, and does nothing.

use anyhow::{Context, Result};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// A halted process. It goes on when this is dropped, so that nobody who ends early leaves it so.
#[derive(Debug)]
pub struct Halted(Pid);

impl Halted {
    /// Halts a process.
    pub fn halt(pid: u32) -> Result<Self> {
        let process = Pid::from_raw(pid.try_into()?);
        kill(process, Signal::SIGSTOP).with_context(|| format!("the process {pid} cannot be halted"))?;
        Ok(Self(process))
    }
}

impl Drop for Halted {
    fn drop(&mut self) {
        // one that has ended meanwhile needs no more help
        let _ = kill(self.0, Signal::SIGCONT);
    }
}

#[cfg(test)]
mod tests {
    use std::{process::Command, time::Duration};

    use super::*;
    use crate::processor::stands_still;

    #[test]
    fn a_process_stands_still_from_the_signal_on_and_goes_on_when_it_is_let_go() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("there is a sleep");
        assert!(!stands_still(child.id()).expect("it runs"));
        let halted = Halted::halt(child.id()).expect("it is ours");
        until(|| stands_still(child.id()).expect("it is there"));
        drop(halted);
        until(|| !stands_still(child.id()).expect("it is there"));
        child.kill().expect("it is ours");
        child.wait().expect("it has ended");
    }

    fn until(condition: impl Fn() -> bool) {
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while !condition() {
            assert!(std::time::Instant::now() < deadline, "in vain");
            std::thread::yield_now();
        }
    }
}
