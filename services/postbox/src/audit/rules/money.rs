//! 2, 3, 4: captures and refunds. What the card network's own books say, against what order and payment believe.

use super::{Case, Desk, Finding};
use crate::audit::case::Capture;

/// 2: at most one capture that stands, of the order's total, for an order that there is.
pub fn captured_once(case: &Case, _: &Desk, finding: &mut Finding) {
    let standing: Vec<&Capture> = case.captures.iter().filter(|capture| !capture.is_voided).collect();
    finding.checked += case.captures.len() as u64;
    let mut wrong = |differs: String| finding.suspect(Some(case.id), format!("capture of order {}", case.id), differs);
    if standing.len() > 1 {
        wrong(format!("the card network has {} that stand", standing.len()));
    }
    let Some(capture) = standing.first() else { return };
    let Some(order) = &case.order else { return wrong("there is no such order".to_owned()) };
    // until the order has its total, inventory has it
    let total = order.total_minor.or_else(|| case.reservation.as_ref()?.total_minor);
    if total != Some(capture.amount_minor) {
        let total = total.map_or("unknown".to_owned(), |minor| minor.to_string());
        wrong(format!("the card network has {}, the order's total is {total}", capture.amount_minor));
    }
    if order.currency.as_ref().is_some_and(|currency| *currency != capture.currency) {
        wrong(format!("the card network has {}, the order is in {:?}", capture.currency, order.currency));
    }
}

/// 3: an order that ended without having been completed keeps nobody's money, one that is completed has it, and no answer
/// that payment has settled on differs from what the network did.
pub fn kept_as_decided(case: &Case, _: &Desk, finding: &mut Finding) {
    let Some(order) = case.order.as_ref().filter(|order| order.is_settled()) else { return };
    let kept: i64 = case.captures.iter().map(Capture::kept).sum();
    let is_captured = case.captures.iter().any(|capture| !capture.is_voided);
    let state = case.payment.as_ref().and_then(|payment| payment.state.as_deref()).unwrap_or("NONE");
    let differs = match order.saga_state.as_str() {
        "COMPLETED" if !is_captured => Some("and the card network has no capture".to_owned()),
        "COMPLETED" if state != "CAPTURED" => Some(format!("and payment says {state}")),
        "COMPLETED" => None,
        _ if kept != 0 => Some(format!("and the card network keeps {kept}; payment says {state}")),
        _ => None,
    };
    finding.check(
        case.id,
        differs.is_none(),
        || format!("order {}", case.id),
        || format!("is {} {}", order.saga_state, differs.clone().unwrap_or_default()),
    );
}

/// 4: what was given back was captured before, by a refund or by a void, and as often as payment asked for it.
pub fn given_back_once(case: &Case, _: &Desk, finding: &mut Finding) {
    let booked = case.payment.as_ref();
    let undone = case.captures.iter().filter(|capture| capture.is_voided || capture.refunded_minor > 0).count();
    finding.checked += undone as u64;
    let mut wrong = |differs: String| finding.suspect(Some(case.id), format!("refund of order {}", case.id), differs);
    for capture in &case.captures {
        let Capture { amount_minor, refunded_minor, is_voided, .. } = *capture;
        if refunded_minor > amount_minor {
            wrong(format!("the card network has given back {refunded_minor} of {amount_minor}"));
        }
        if is_voided && refunded_minor > 0 {
            wrong(format!("the card network has voided the capture and given back {refunded_minor} of it"));
        }
        let asked = booked.is_some_and(|payment| matches!(payment.state.as_deref(), Some("REFUNDING" | "REFUNDED")));
        if refunded_minor > 0 && !asked {
            wrong(format!("the card network has given back {refunded_minor}, and payment asked for none"));
        }
    }
    let Some(payment) = booked.filter(|payment| payment.is_known()) else { return };
    let given_back: i64 = case.captures.iter().map(|capture| capture.refunded_minor).sum();
    if payment.refunded.unwrap_or_default() != given_back {
        let booked = payment.refunded.unwrap_or_default();
        wrong(format!("payment has booked {booked}, the card network has given back {given_back}"));
    }
    if payment.refunded.is_some() && payment.voided.is_some() {
        wrong("payment has booked both a void and a refund".to_owned());
    }
}
