//! A service whose clock is wrong: a small library, loaded before the program, shifts what it reads as the time of day.

use std::process::Command;

use tempfile::TempDir;

use crate::platform::Platform;

/// The library, in C because it takes the place of C functions.
const SOURCE: &str = include_str!("shifted_clock.c");

/// The library, compiled. It must outlive the services that use it.
#[derive(Debug)]
pub struct ShiftedClock {
    folder: TempDir,
}

impl ShiftedClock {
    /// Why clocks cannot be shifted on this machine, if they cannot.
    pub fn is_missing() -> Option<String> {
        if !cfg!(target_os = "linux") {
            return Some("clocks can be shifted on Linux only".to_owned());
        }
        let compiler = Command::new("cc").arg("--version").output();
        compiler.is_err().then(|| "there is no C compiler `cc` to build the shifted clock with".to_owned())
    }

    /// Compiles it, once for all its users.
    pub fn compile() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let source = folder.path().join("shifted_clock.c");
        std::fs::write(&source, SOURCE).expect("the temporary folder can be written");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .arg(folder.path().join("shifted_clock.so"))
            .arg(&source)
            .arg("-ldl")
            .output()
            .expect("there is a C compiler");
        assert!(compiled.status.success(), "cc: {}", String::from_utf8_lossy(&compiled.stderr));
        Self { folder }
    }

    /// From its next start on, the service's clock is so many seconds ahead, or behind if it is less than 0.
    pub fn shift(&self, platform: &mut Platform, service: &str, seconds: i64) {
        let library = self.folder.path().join("shifted_clock.so").display().to_string();
        platform.set(service, "LD_PRELOAD", Some(library));
        platform.set(service, "SHIFT_CLOCK_SECONDS", Some(seconds.to_string()));
    }

    /// From its next start on, the service's clock is right.
    pub fn set_right(platform: &mut Platform, service: &str) {
        platform.set(service, "LD_PRELOAD", None);
        platform.set(service, "SHIFT_CLOCK_SECONDS", None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time_of_day(clock: Option<(&ShiftedClock, &str)>) -> i64 {
        let mut date = Command::new("date");
        date.arg("+%s");
        if let Some((clock, seconds)) = clock {
            date.env("LD_PRELOAD", clock.folder.path().join("shifted_clock.so")).env("SHIFT_CLOCK_SECONDS", seconds);
        }
        let said = date.output().expect("there is a date").stdout;
        String::from_utf8_lossy(&said).trim().parse().expect("seconds")
    }

    /// Waits for a second, as librdkafka's threads do, and returns how long that took, in seconds.
    const WAITER: &str = r"
        #include <threads.h>
        #include <time.h>
        int main(void) {
            cnd_t never; mtx_t mutex; struct timespec until, began, ended;
            cnd_init(&never); mtx_init(&mutex, mtx_plain); mtx_lock(&mutex);
            clock_gettime(CLOCK_MONOTONIC, &began);
            clock_gettime(CLOCK_REALTIME, &until);
            until.tv_sec += 1;
            cnd_timedwait(&never, &mutex, &until);
            clock_gettime(CLOCK_MONOTONIC, &ended);
            return (int)(ended.tv_sec - began.tv_sec + (ended.tv_nsec > began.tv_nsec ? 0 : -1));
        }";

    #[test]
    fn whoever_waits_until_a_time_of_day_waits_as_long_as_ever() {
        if ShiftedClock::is_missing().is_some() {
            return;
        }
        let clock = ShiftedClock::compile();
        let (source, program) = (clock.folder.path().join("waiter.c"), clock.folder.path().join("waiter"));
        std::fs::write(&source, WAITER).expect("the temporary folder can be written");
        let compiled = Command::new("cc").arg("-o").arg(&program).arg(&source).status().expect("there is a compiler");
        assert!(compiled.success());
        for seconds in ["0", "300", "-300"] {
            let mut waiter = Command::new("timeout");
            waiter.arg("20").arg(&program).env("SHIFT_CLOCK_SECONDS", seconds);
            waiter.env("LD_PRELOAD", clock.folder.path().join("shifted_clock.so"));
            let seconds_waited = waiter.status().expect("there is timeout").code().expect("it ends by itself");
            assert!((1..5).contains(&seconds_waited), "shifted by {seconds} s it waits for {seconds_waited} s");
        }
    }

    #[test]
    fn a_program_reads_the_shifted_time_and_others_the_right_one() {
        if ShiftedClock::is_missing().is_some() {
            return;
        }
        let clock = ShiftedClock::compile();
        for (seconds, shift) in [("300", 300), ("-300", -300)] {
            let right = time_of_day(None);
            let off = time_of_day(Some((&clock, seconds))) - right - shift;
            assert!((0..20).contains(&off), "off by {off} s");
        }
    }
}
