//! Where a test may kill order around the commit of a change: one pair of points for each state that is committed. What
//! letters change, the consumer commits, which has points of its own.

use service_runtime::kill_point;

use crate::saga::State;

/// Just before the commit of an order in this state.
pub(crate) fn before_commit(state: State) {
    match state {
        State::AwaitingStock => kill_point!("order.placed.before-commit"),
        State::AwaitingPayment => kill_point!("order.held.before-commit"),
        State::Completed => kill_point!("order.completed.before-commit"),
        State::Voiding(_) => kill_point!("order.voiding.before-commit"),
        State::Releasing(_) => kill_point!("order.releasing.before-commit"),
        State::GivenUp(_) => kill_point!("order.given-up.before-commit"),
        State::Stopping => kill_point!("order.stopping.before-commit"),
        State::Refunding => kill_point!("order.refunding.before-commit"),
        State::Refunded => kill_point!("order.refunded.before-commit"),
    }
}

/// Just after it: nobody has been told, and nothing that follows has begun.
pub(crate) fn after_commit(state: State) {
    match state {
        State::AwaitingStock => kill_point!("order.placed.after-commit"),
        State::AwaitingPayment => kill_point!("order.held.after-commit"),
        State::Completed => kill_point!("order.completed.after-commit"),
        State::Voiding(_) => kill_point!("order.voiding.after-commit"),
        State::Releasing(_) => kill_point!("order.releasing.after-commit"),
        State::GivenUp(_) => kill_point!("order.given-up.after-commit"),
        State::Stopping => kill_point!("order.stopping.after-commit"),
        State::Refunding => kill_point!("order.refunding.after-commit"),
        State::Refunded => kill_point!("order.refunded.after-commit"),
    }
}
