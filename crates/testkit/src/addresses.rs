//! Where a server under test may listen.

use std::net::{Ipv4Addr, SocketAddr};

use local_servers::ports;

/// Addresses on which nothing listens now.
///
/// They are outside the range from which outgoing connections take their ports: one that the system chose (port 0) may be
/// taken by a connection of another test before the server is there, or while it is stopped.
pub fn free_addresses<const COUNT: usize>() -> [SocketAddr; COUNT] {
    let count = u16::try_from(COUNT).expect("a test needs few ports");
    let mut next = ports::free_run(count).unwrap_or_else(|error| panic!("{error}"))..;
    [(); COUNT].map(|()| (Ipv4Addr::LOCALHOST, next.next().expect("the run was checked")).into())
}
