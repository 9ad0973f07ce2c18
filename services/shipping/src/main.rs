//! Shipments, the first follower.
fn main() {}
