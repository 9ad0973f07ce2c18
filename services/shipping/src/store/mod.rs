//! All SQL of shipping. Who locks a question and a shipment locks them in this order, so that nobody waits in a circle.

pub(crate) mod questions;
pub(crate) mod shipments;
