//! The command line of Postbox.
fn main() {}
