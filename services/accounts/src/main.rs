//! People, passwords and tokens.
fn main() {}
