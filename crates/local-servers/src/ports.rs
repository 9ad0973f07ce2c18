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
    let (low, high) = SEARCHED;
    let starts = high - low - count;
    let offset = rand::random_range(0..starts);
    (0..starts)
        .map(|step| low + (offset + step) % starts)
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

    #[test]
    fn a_run_of_ports_is_free_and_outside_the_range_of_outgoing_connections() {
        let first = free_run(3).expect("three ports are free");
        assert!((first..first + 3).all(is_free));
        assert!(first + 3 <= 32_768);
    }
}
