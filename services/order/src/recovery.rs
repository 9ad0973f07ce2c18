//! Recovery: orders that nobody carries on, because a process crashed or an answer was missing, are taken up again until
//! nothing is left to do.

use std::{sync::Arc, time::Duration};

use service_runtime::{telemetry, worker::Worker};
use tokio::time::Instant;
use tracing::{Instrument, field::Empty, info, info_span, warn};

use crate::{
    Deps,
    carry_on::{Asking, Carried, carry_on},
    error::OrderError,
    saga::Fact,
    store::{self, Due, Lane},
};

/// How often recovery looks for orders that are due, if nobody wakes it.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The most orders of a lane that are carried on at a time.
const ORDERS_MAX: usize = 32;

/// How long one attempt may take; shorter than the lease, so that an order is carried on by one process at a time. (If
/// it is not, nothing breaks: see [`carry_on`](mod@crate::carry_on).)
const ATTEMPT: Duration = Duration::from_secs(6);

/// How long a claimed order is nobody else's.
const LEASE: Duration = Duration::from_secs(10);

/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Takes up the orders of one lane until the end of the process is requested. Every replica may run it.
pub async fn run(deps: Deps, lane: Lane) {
    let wake = match lane {
        Lane::Fresh => deps.recovery.clone(),
        // what comes here is due later, so nobody can tell of it
        Lane::Parcel | Lane::Repeated => Arc::default(),
    };
    let worker = Worker { name: "recovery", at_once: ORDERS_MAX, wake, look_every: LOOK_EVERY };
    let claim = {
        let pool = deps.pool.clone();
        move |room, back| {
            let pool = pool.clone();
            async move { store::claim_due(&pool, lane, room, back, LEASE).await }
        }
    };
    let shutdown = deps.shutdown.clone();
    worker
        .run(shutdown, claim, move |due: Due| {
            let span = info_span!("recovery", order.id = %due.id, trace_id = Empty);
            telemetry::join_by_id(&span, due.trace_id);
            attempt(deps.clone(), due).instrument(span)
        })
        .await;
}

/// Takes a claimed order as far as it goes now. It comes back later if that is not to its end.
pub async fn attempt(deps: Deps, due: Due) {
    let obstacle = match take_further(&deps, due).await {
        Ok(carried) if carried.kept.order.state.is_settled() => return,
        Ok(carried) => carried.obstacle,
        Err(error) => {
            warn!(order.id = %due.id, %error, "the attempt failed");
            Some(error.to_string())
        }
    };
    if let Err(error) = store::postpone(&deps.pool, due.id, PAUSE_MAX, obstacle.as_deref()).await {
        // the lease ends by itself
        warn!(order.id = %due.id, %error, "the order comes back when its lease ends");
    }
}

async fn take_further(deps: &Deps, due: Due) -> Result<Carried, OrderError> {
    let kept = store::find_own(&deps.pool, due.id).await?.ok_or(OrderError::NotFound(due.id))?;
    let is_overdue = due.decide_in.is_zero();
    info!(order.id = %due.id, state = kept.order.state.name(), is_overdue, "taking the order up again");
    let first = is_overdue.then_some(Fact::DeadlinePassed);
    // an order that is still wanted is not asked for beyond its time: then it is to be unwound
    let time = if is_overdue || kept.order.state.is_decided() { ATTEMPT } else { ATTEMPT.min(due.decide_in) };
    carry_on(deps, kept, first, Instant::now() + time, Asking::Once).await
}
