//! The ledger's accounts, and the transfers between them.
//!
//! A transfer moves one amount from one account to another, so all accounts together are zero by construction. The
//! transfers of an order that was voided or refunded sum to zero in each account, too.

use crate::payment::Posting;

/// What the card network owes us.
const CARD_NETWORK: &str = "card-network";

/// What customers have paid for their orders.
const ORDERS: &str = "orders";

/// One row to be: which account is debited and which credited. The amount is the payment's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    /// `CAPTURE`, `VOID` or `REFUND`; an order has each at most once.
    pub kind: &'static str,
    /// The account that receives.
    pub debit_account: &'static str,
    /// The account that gives.
    pub credit_account: &'static str,
}

const CAPTURE: Transfer = Transfer { kind: "CAPTURE", debit_account: CARD_NETWORK, credit_account: ORDERS };
const VOID: Transfer = Transfer { kind: "VOID", debit_account: ORDERS, credit_account: CARD_NETWORK };
const REFUND: Transfer = Transfer { kind: "REFUND", debit_account: ORDERS, credit_account: CARD_NETWORK };

/// The transfers of a posting.
pub const fn transfers(posting: Posting) -> &'static [Transfer] {
    match posting {
        Posting::Nothing => &[],
        Posting::Capture => &[CAPTURE],
        Posting::CaptureAndReversal => &[CAPTURE, VOID],
        Posting::Refund => &[REFUND],
    }
}
