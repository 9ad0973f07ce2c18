//! Charges and voids, and the ledger.
