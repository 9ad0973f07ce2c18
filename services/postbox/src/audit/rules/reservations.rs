//! 6: each reservation ends once; a release, void or stop that overtakes its opposite blocks it.

use super::{Case, Desk, Finding};

/// Where a reservation may stand, by the state of its order; and the marks that an order's undoing must have left, which shut
/// the door to what comes late.
pub fn ended_once(case: &Case, _: &Desk, finding: &mut Finding) {
    let Some(order) = &case.order else {
        if let Some(reservation) = &case.reservation {
            finding.check(
                case.id,
                false,
                || format!("reservation of order {}", case.id),
                || format!("is {}, and there is no such order", reservation.state),
            );
        }
        return;
    };
    let state = case.reservation.as_ref().map_or("NONE", |reservation| reservation.state.as_str());
    let may_be: &[&str] = match order.saga_state.as_str() {
        "AWAITING_STOCK" => &["NONE", "HELD", "REFUSED"],
        "AWAITING_PAYMENT" => &["HELD"],
        // completed, until inventory has read the letter
        "COMPLETED" | "STOPPING" | "REFUNDING" => &["HELD", "SETTLED"],
        "REFUNDED" => &["HELD", "SETTLED", "RETURNED"],
        "REJECTED" | "CANCELLED" => &["REFUSED", "RELEASED"],
        // VOIDING, RELEASING: on the way
        _ => &["NONE", "HELD", "REFUSED", "RELEASED"],
    };
    finding.check(
        case.id,
        may_be.contains(&state),
        || format!("reservation of order {}", case.id),
        || format!("is {state}, and the order is {}", order.saga_state),
    );
    let was_voided = order.is_given_up() && matches!(order.reason.as_deref(), Some("EXPIRED" | "CUSTOMER_REQUEST"));
    if was_voided {
        let state = case.payment.as_ref().and_then(|payment| payment.state.as_deref()).unwrap_or("NONE");
        finding.check(
            case.id,
            state == "VOIDED",
            || format!("void of order {}", case.id),
            || format!("payment says {state}, and the order is {}", order.saga_state),
        );
    }
    if matches!(order.saga_state.as_str(), "REFUNDING" | "REFUNDED") {
        let status = case.parcel.as_ref().and_then(|parcel| parcel.status.as_deref()).unwrap_or("NONE");
        finding.check(
            case.id,
            status == "CANCELLED",
            || format!("stop of order {}", case.id),
            || format!("the parcel is {status}, and the order is {}", order.saga_state),
        );
    }
}
