//! The smallest program that `postbox up` can look after: it has a manifest, and says that it is ready. The tests of `up`
//! run it.

use std::io::{Read, Write};
use std::net::TcpListener;

fn main() -> std::io::Result<()> {
    let address = std::env::var("OPS_ADDR").expect("`postbox up` sets it");
    println!("a follower listens on {address}");
    for connection in TcpListener::bind(address)?.incoming() {
        let mut connection = connection?;
        // one read is enough for the short question of a probe
        let question = connection.read(&mut [0; 1024])?;
        if question > 0 {
            connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")?;
        }
    }
    Ok(())
}
