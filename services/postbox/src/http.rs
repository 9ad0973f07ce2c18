//! HTTP on this machine.

use std::time::Duration;

/// A client for services on loopback, which answer within `deadline` or not at all. No proxy: a proxy of this machine's knows
/// nothing of its loopback.
pub fn client(deadline: Duration) -> reqwest::Client {
    let client = reqwest::Client::builder().no_proxy().timeout(deadline).build();
    client.expect("a client without TLS can always be built")
}
