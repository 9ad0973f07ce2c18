//! Charges and voids, and the ledger.
fn main() {}
