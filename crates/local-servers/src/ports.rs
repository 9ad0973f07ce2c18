//! Which ports are free.

use std::{
    env,
    fs::{self, File},
    io,
    net::{Ipv4Addr, TcpListener},
    ops::Range,
    sync::{Mutex, PoisonError},
};

use crate::Error;

/// Below the range from which Linux (32768) and macOS (49152) take the local ports of outgoing connections: a server
/// that is stopped and started again must find its port as it left it.
const SEARCHED: (u16, u16) = (20_000, 32_000);

/// True when nothing listens on `port` of 127.0.0.1.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Fails with the port and `needed_by` when something listens on `port`.
pub fn check_free(port: u16, needed_by: &str) -> Result<(), Error> {
    if is_free(port) { Ok(()) } else { Err(Error::PortInUse { port, needed_by: needed_by.to_owned() }) }
}

/// Ports that are locked together, by a file. More than any caller needs at once.
const BLOCK: u16 = 100;

/// The first of `count` free ports in a row. No other process on this machine that asks here is told the same, nor is this one again, as long as it
/// runs: who starts a server there may take his time. Only when every block is somebody's the search starts at a random place.
pub fn free_run(count: u16) -> Result<u16, Error> {
    static OURS: Mutex<Ours> = Mutex::new(Ours::none());
    let ours = OURS.lock().unwrap_or_else(PoisonError::into_inner).take(count);
    ours.map_or_else(|| free_run_from(rand::random_range(0..starts(count)), count), Ok)
}

/// Ports that this process has locked.
#[derive(Debug)]
struct Ours {
    locks: Vec<File>,
    /// What of the last block nobody was told yet.
    left: Range<u16>,
}

impl Ours {
    const fn none() -> Self {
        Self { locks: Vec::new(), left: 0..0 }
    }

    fn take(&mut self, count: u16) -> Option<u16> {
        if count > BLOCK {
            return None;
        }
        let blocks = (SEARCHED.1 - SEARCHED.0) / BLOCK;
        let begin = rand::random_range(0..blocks);
        let mut others = (0..blocks).map(|step| SEARCHED.0 + (begin + step) % blocks * BLOCK);
        loop {
            let is_run = |first: u16| first + count <= self.left.end && (first..first + count).all(is_free);
            if let Some(first) = self.left.clone().find(|&first| is_run(first)) {
                self.left.start = first + count;
                return Some(first);
            }
            let (first, lock) = others.find_map(|first| Some((first, lock(first).ok()?)))?;
            self.locks.push(lock);
            self.left = first..first + BLOCK;
        }
    }
}

/// Locks the block that begins with this port until the file is closed.
fn lock(first: u16) -> io::Result<File> {
    let folder = env::temp_dir().join("postbox-ports");
    fs::create_dir_all(&folder)?;
    let file = File::options().create(true).append(true).open(folder.join(first.to_string()))?;
    file.try_lock()?;
    Ok(file)
}

/// How many runs of so many ports are searched.
fn starts(count: u16) -> u16 {
    SEARCHED.1 - SEARCHED.0 - count
}

fn free_run_from(offset: u16, count: u16) -> Result<u16, Error> {
    (0..starts(count))
        .map(|step| SEARCHED.0 + (offset + step) % starts(count))
        .find(|&first| (first..first + count).all(is_free))
        .ok_or(Error::NoFreePorts { count, range: SEARCHED })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_port_that_something_listens_on_is_named_with_who_needs_it() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("some port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let error = check_free(port, "the gateway").expect_err("it is in use");
        let expected = format!("port {port} is in use, and the gateway needs it");
        assert!(error.to_string().starts_with(&expected), "{error}");
    }

    #[test]
    fn nobody_is_told_a_port_that_another_was_told_while_both_run() {
        let (mut one, mut other) = (Ours::none(), Ours::none());
        let mut told = BTreeSet::new();
        for count in [1, 32, 60, 60, 100, 7] {
            for asking in [&mut one, &mut other] {
                let first = asking.take(count).expect("a block is free");
                for port in first..first + count {
                    assert!(told.insert(port), "{port} was told twice");
                }
            }
        }
    }

    // that nobody takes a port a moment later cannot be promised, and so it is not tested
    #[test]
    fn a_run_of_ports_passes_one_that_something_listens_on_and_ends_before_those_of_outgoing_connections() {
        let (low, high) = SEARCHED;
        let listener = (low + 1..high).find_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok());
        let listener = listener.expect("some port is free");
        let taken = listener.local_addr().expect("it is bound").port();
        let first = free_run_from(taken - 1 - low, 3).expect("three other ports are free");
        assert!(!(first..first + 3).contains(&taken), "{first} to {} with {taken}", first + 2);
        assert!(first + 3 <= 32_768);
    }
}
