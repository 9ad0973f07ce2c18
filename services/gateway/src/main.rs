//! The HTTP front door: routes, authentication, problems.
fn main() {}
