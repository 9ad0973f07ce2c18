//! 7: every order reaches a terminal state.

use super::{Case, Desk, Finding};

/// How late an order may be: recovery takes it up within seconds, and a service that was killed is back within these.
const LATE_SECONDS_MAX: i64 = 30;

/// An order that is past the time in which it had to be decided, or whose undoing stands still, is suspect.
pub fn ended_in_time(case: &Case, _: &Desk, finding: &mut Finding) {
    let Some(order) = &case.order else { return };
    let in_time = order.is_settled() || order.seconds_late <= LATE_SECONDS_MAX;
    finding.check(
        case.id,
        in_time,
        || format!("order {}", case.id),
        || format!("is {} and {} s late", order.saga_state, order.seconds_late),
    );
}
