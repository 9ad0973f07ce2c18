//! Order owns the life of an order.
fn main() {}
