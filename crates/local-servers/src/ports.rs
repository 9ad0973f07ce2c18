//! Which ports are free.

use std::net::{Ipv4Addr, TcpListener};

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

/// The first of `count` free ports in a row. They are not reserved, so the search starts at a random place: two callers
/// at the same time are unlikely to be told the same.
pub fn free_run(count: u16) -> Result<u16, Error> {
    free_run_from(rand::random_range(0..starts(count)), count)
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
    use super::*;

    #[test]
    fn a_port_that_something_listens_on_is_named_with_who_needs_it() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("some port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let error = check_free(port, "the gateway").expect_err("it is in use");
        let expected = format!("port {port} is in use, and the gateway needs it");
        assert!(error.to_string().starts_with(&expected), "{error}");
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
