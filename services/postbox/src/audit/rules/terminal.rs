//! 7: every order reaches a terminal state.

use super::{Case, Desk, Finding};

/// How late an order may be: recovery takes it up within seconds, and a service that was killed is back within these.
const LATE_SECONDS_MAX: i64 = 30;

/// An order that is past the time in which it had to be decided, or whose undoing stands still, is suspect. So is one that
/// rests although its parcel was given up: nothing is sent, and nothing is paid back.
pub fn ended_in_time(case: &Case, _: &Desk, finding: &mut Finding) {
    let Some(order) = &case.order else { return };
    let in_time = order.is_settled() || order.seconds_late <= LATE_SECONDS_MAX;
    let is_given_up = case.parcel.as_ref().is_some_and(|parcel| parcel.status.as_deref() == Some("CANCELLED"));
    let rests_in_vain = order.saga_state == "COMPLETED" && is_given_up;
    finding.check(
        case.id,
        in_time && !rests_in_vain,
        || format!("order {}", case.id),
        || {
            let state = &order.saga_state;
            if rests_in_vain {
                format!("is {state}, and its parcel is CANCELLED: nobody pays back")
            } else {
                format!("is {state} and {} s late", order.seconds_late)
            }
        },
    );
}
