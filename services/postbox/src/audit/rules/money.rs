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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::case::{Order, Payment};
    use crate::audit::marks::Marks;

    fn order(saga_state: &str) -> Order {
        Order {
            saga_state: saga_state.to_owned(),
            reason: None,
            placed_by: "TELEPHONE".to_owned(),
            version: 2,
            total_minor: Some(500),
            currency: Some("EUR".to_owned()),
            answer: None,
            shipment_version: 0,
            seconds_late: 0,
            updated_at: 0.0,
        }
    }

    fn payment(state: &str) -> Payment {
        let state = Some(state.to_owned());
        Payment { state, captured: Some(500), voided: None, refunded: None, transfers: 1, misposted: 0 }
    }

    fn capture(refunded_minor: i64, is_voided: bool) -> Capture {
        Capture { amount_minor: 500, currency: "EUR".to_owned(), refunded_minor, is_voided }
    }

    /// What each of the three checks says of an order with this payment and these captures.
    fn suspects(order: Order, payment: Payment, captures: Vec<Capture>) -> [usize; 3] {
        let case = Case { order: Some(order), payment: Some(payment), captures, ..Case::default() };
        let desk = Desk { marks: Marks::default(), since: std::collections::BTreeMap::new() };
        [captured_once, kept_as_decided, given_back_once].map(|check| {
            let mut finding = Finding::default();
            check(&case, &desk, &mut finding);
            finding.suspected()
        })
    }

    #[test]
    fn a_completed_order_with_its_capture_is_right() {
        assert_eq!(suspects(order("COMPLETED"), payment("CAPTURED"), vec![capture(0, false)]), [0, 0, 0]);
    }

    #[test]
    fn two_captures_that_stand_are_one_too_many_and_a_voided_one_is_none() {
        let standing = || capture(0, false);
        assert_eq!(suspects(order("COMPLETED"), payment("CAPTURED"), vec![standing(), standing()]), [1, 0, 0]);
        assert_eq!(suspects(order("COMPLETED"), payment("CAPTURED"), vec![standing(), capture(0, true)]), [0, 0, 0]);
    }

    #[test]
    fn a_timeout_that_was_taken_for_a_decline_keeps_money_or_sends_without() {
        assert_eq!(suspects(order("REJECTED"), payment("DECLINED"), vec![capture(0, false)]), [0, 1, 0]);
        assert_eq!(suspects(order("COMPLETED"), payment("CAPTURED"), vec![]), [0, 1, 0]);
        assert_eq!(suspects(order("COMPLETED"), payment("CAPTURED"), vec![capture(0, true)]), [0, 1, 0]);
    }

    #[test]
    fn money_is_given_back_once_and_only_when_it_was_asked_for() {
        let refunded = || Payment { refunded: Some(500), ..payment("REFUNDED") };
        assert_eq!(suspects(order("REFUNDED"), refunded(), vec![capture(500, false)]), [0, 0, 0]);
        assert_eq!(suspects(order("REFUNDED"), refunded(), vec![capture(500, true)]), [0, 0, 1]);
        assert_eq!(suspects(order("REFUNDED"), refunded(), vec![capture(400, false)]), [0, 1, 1]);
        assert_eq!(suspects(order("COMPLETED"), payment("CAPTURED"), vec![capture(500, false)]), [0, 0, 1]);
    }
}
