//! All SQL of inventory.

mod catalogue;
mod reservations;
mod steps;

use sqlx::postgres::PgQueryResult;

pub(crate) use catalogue::{
    add_product_in_tx, add_stock_in_tx, change_product_in_tx, find_product, find_receipt, forget_old_receipts,
    list_products, lock_product_in_tx, record_receipt_in_tx,
};
pub(crate) use reservations::{Stand, bury_in_tx, find_reservation, keep_in_tx, lock_stock_in_tx};
pub(crate) use steps::{Stepped, settle_held_in_tx, step_in_tx, wait_shortly_in_tx};

/// Whether a row that is written once was written now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recorded {
    /// By this call.
    Now,
    /// By an earlier one, which has committed.
    Before,
}

impl Recorded {
    /// From an `INSERT … ON CONFLICT DO NOTHING` of one row.
    fn from_rows(inserted: &PgQueryResult) -> Self {
        if inserted.rows_affected() == 1 { Self::Now } else { Self::Before }
    }
}
