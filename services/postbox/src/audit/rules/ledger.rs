//! 16: the payment ledger sums to zero. One row moves one amount between two accounts, so its sum is zero whatever is in it;
//! what can be wrong is an account, an amount, or a transfer that is missing. So each order's transfers are compared with what
//! the card network itself keeps for it.

use super::{Case, Desk, Finding};
use crate::audit::case::Capture;

/// While payment does not know what became of the money, its ledger need not.
pub fn agrees_with_the_network(case: &Case, _: &Desk, finding: &mut Finding) {
    let Some(payment) = case.payment.as_ref().filter(|payment| payment.transfers > 0 || payment.is_known()) else {
        return;
    };
    let of_order = || format!("transfers of order {}", case.id);
    finding.checked += u64::try_from(payment.transfers).unwrap_or_default();
    if payment.misposted > 0 {
        let differs = format!("{} of them between the wrong accounts, or in another currency", payment.misposted);
        finding.suspect(Some(case.id), of_order(), differs);
    }
    let network: i64 = case.captures.iter().map(Capture::kept).sum();
    if payment.is_known() && payment.kept() != network {
        let differs = format!("say that {} is kept, the card network keeps {network}", payment.kept());
        finding.suspect(Some(case.id), of_order(), differs);
    }
}
