//! The fault table, row by row.

mod kills;

use super::FaultRow;

/// Every row, in the order in which they are played: those that share a platform come first.
pub fn all() -> Vec<Box<dyn FaultRow>> {
    vec![Box::new(kills::KillEachService)]
}
