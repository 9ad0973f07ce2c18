//! Where a test may kill payment around the commit of a change: one pair of points for each kind of step.

use service_runtime::kill_point;

use crate::payment::State;

/// Just before the commit of a payment in this state. Of what the card network answered, the platform knows nothing yet.
pub(crate) fn before_commit(state: State) {
    match state {
        // never written
        State::Unasked => {}
        State::Attempting => kill_point!("payment.attempt.before-commit"),
        State::Captured | State::Declined | State::UnknownCard => kill_point!("payment.outcome.before-commit"),
        State::Voiding => kill_point!("payment.voiding.before-commit"),
        State::Voided => kill_point!("payment.voided.before-commit"),
        State::Refunding => kill_point!("payment.refunding.before-commit"),
        State::Refunded => kill_point!("payment.refunded.before-commit"),
    }
}

/// Just after it: nobody has been told.
pub(crate) fn after_commit(state: State) {
    match state {
        State::Unasked => {}
        State::Attempting => kill_point!("payment.attempt.after-commit"),
        State::Captured | State::Declined | State::UnknownCard => kill_point!("payment.outcome.after-commit"),
        State::Voiding => kill_point!("payment.voiding.after-commit"),
        State::Voided => kill_point!("payment.voided.after-commit"),
        State::Refunding => kill_point!("payment.refunding.after-commit"),
        State::Refunded => kill_point!("payment.refunded.after-commit"),
    }
}
