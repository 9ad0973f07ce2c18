//! Recovery: orders that nobody carries on, because a process crashed or an answer was missing, are taken up again until
//! they are decided.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{Instrument, error, info, info_span, warn};

use crate::{
    Deps,
    carry_on::carry_on,
    error::OrderError,
    saga::Fact,
    store::{self, Due, Kept},
};

/// How often recovery looks for orders that are due.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The most orders taken up at a time.
const ORDERS_MAX: u16 = 64;

/// How long one attempt may take; shorter than the lease, so that an order is carried on by one process at a time. (If
/// it is not, nothing breaks: see [`carry_on`].)
const ATTEMPT: Duration = Duration::from_secs(6);

/// How long a claimed order is nobody else's.
const LEASE: Duration = Duration::from_secs(10);

/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Runs until the end of the process is requested.
pub async fn run(deps: Deps) {
    loop {
        let taken = take_up(&deps).await;
        if let Err(error) = &taken {
            warn!(%error, "recovery cannot look for orders, trying again");
        }
        // a full hand: there is more
        if taken.is_ok_and(|count| count == usize::from(ORDERS_MAX)) && !deps.shutdown.token().is_cancelled() {
            continue;
        }
        tokio::select! {
            () = deps.shutdown.requested() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Takes up what is due and carries it on, all at once. Gives how many orders it was.
async fn take_up(deps: &Deps) -> Result<usize, OrderError> {
    let due = store::claim_due(&deps.pool, i64::from(ORDERS_MAX), LEASE).await?;
    let count = due.len();
    let attempts: Vec<_> = due
        .into_iter()
        .map(|due| {
            let span = info_span!("recovery", order.id = %due.id);
            let deps = deps.clone();
            deps.shutdown.clone().spawn_work(async move { attempt(&deps, due).await }.instrument(span))
        })
        .collect();
    for attempt in attempts {
        if let Err(panic) = attempt.await {
            error!(%panic, "an attempt to recover an order ended in a panic");
        }
    }
    Ok(count)
}

async fn attempt(deps: &Deps, due: Due) {
    match take_further(deps, due).await {
        Ok(kept) if kept.order.state.is_decided() => return,
        Ok(_) => {}
        Err(error) => warn!(order.id = %due.id, %error, "the attempt failed"),
    }
    if let Err(error) = store::postpone(&deps.pool, due.id, PAUSE_MAX).await {
        // the lease ends by itself
        warn!(order.id = %due.id, %error, "the order comes back when its lease ends");
    }
}

async fn take_further(deps: &Deps, due: Due) -> Result<Kept, OrderError> {
    let kept = store::find_own(&deps.pool, due.id).await?.ok_or(OrderError::NotFound(due.id))?;
    info!(order.id = %due.id, state = kept.order.state.name(), overdue = due.is_overdue, "taking the order up again");
    let first = due.is_overdue.then_some(Fact::DeadlinePassed);
    carry_on(deps, kept, first, Instant::now() + ATTEMPT).await
}
