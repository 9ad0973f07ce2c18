//! Catalogue, stock and reservations.
fn main() {}
