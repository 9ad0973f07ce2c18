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
