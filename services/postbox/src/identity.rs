//! Which process a pid means. The system gives a pid again once its process is gone; together with the time that the
//! process started it means one process for ever, so a stranger is never signalled.

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// One process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its process id.
    pub pid: u32,
    /// When it started, as the system tells it: to be compared, not read.
    pub started: String,
}

impl Identity {
    /// The process that has `pid` now; `None` when it has ended, even when its parent has not noticed.
    pub fn of(pid: u32) -> Option<Self> {
        start_of(pid).map(|started| Self { pid, started })
    }

    /// This process.
    pub fn own() -> Self {
        Self::of(std::process::id()).expect("this process runs")
    }

    /// True while the very process runs.
    pub fn is_running(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// Sends `to_send` when the very process runs.
    pub fn signal(&self, to_send: Signal) {
        if let (true, Ok(pid)) = (self.is_running(), i32::try_from(self.pid)) {
            // one that ends in this moment needs no signal
            let _ = signal::kill(Pid::from_raw(pid), to_send);
        }
    }
}

/// Clock ticks since the machine started, and which start of the machine that was.
#[cfg(target_os = "linux")]
fn start_of(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // the second field is the program's name in brackets, and may itself hold spaces and brackets
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    // the state is the third field of proc_pid_stat(5), the start is the 22nd
    let ticks = fields.nth(18)?;
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(format!("{ticks}@{}", boot.trim()))
}

#[cfg(not(target_os = "linux"))]
fn start_of(pid: u32) -> Option<String> {
    let output =
        std::process::Command::new("ps").args(["-o", "stat=,lstart=", "-p", &pid.to_string()]).output().ok()?;
    let line = String::from_utf8(output.stdout).ok()?;
    let (state, started) = line.trim().split_once(' ')?;
    (!state.starts_with('Z')).then(|| started.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_process_is_running_until_it_ends() {
        assert!(Identity::own().is_running());
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep starts");
        let identity = Identity::of(child.id()).expect("it runs");
        identity.signal(Signal::SIGKILL);
        child.wait().expect("it was killed");
        assert!(!identity.is_running());
    }

    #[test]
    fn a_reused_pid_is_another_process_and_gets_no_signal() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep starts");
        let before = Identity { pid: child.id(), started: "long ago".to_owned() };
        assert!(!before.is_running());
        before.signal(Signal::SIGKILL);
        assert!(child.try_wait().expect("it can be asked").is_none(), "the stranger was killed");
        child.kill().expect("it runs");
        child.wait().expect("it was killed");
    }
}
