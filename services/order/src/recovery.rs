//! Recovery: orders that nobody carries on, because a process crashed or an answer was missing, are taken up again until
//! nothing is left to do.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tracing::{Instrument, info, info_span, warn};

use crate::{
    Deps,
    carry_on::carry_on,
    error::OrderError,
    saga::Fact,
    store::{self, Due, Kept},
};

/// How often recovery looks for orders that are due, if nobody wakes it.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The most orders that are carried on at a time.
const ORDERS_MAX: usize = 64;

/// How long one attempt may take; shorter than the lease, so that an order is carried on by one process at a time. (If
/// it is not, nothing breaks: see [`carry_on`](mod@crate::carry_on).)
const ATTEMPT: Duration = Duration::from_secs(6);

/// How long a claimed order is nobody else's.
const LEASE: Duration = Duration::from_secs(10);

/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Runs until the end of the process is requested.
pub async fn run(deps: Deps) {
    let slots = Arc::new(Semaphore::new(ORDERS_MAX));
    loop {
        let claimed_all = take_up(&deps, &slots).await.unwrap_or_else(|error| {
            warn!(%error, "recovery cannot look for orders, trying again");
            true
        });
        tokio::select! {
            () = deps.shutdown.requested() => return,
            // there may be more, as soon as one attempt has ended
            _ = slots.acquire(), if !claimed_all => {}
            () = deps.recovery.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Takes up as many of the due orders as there is room for. Tells whether that were all.
async fn take_up(deps: &Deps, slots: &Arc<Semaphore>) -> Result<bool, OrderError> {
    let room = slots.available_permits();
    if room == 0 {
        return Ok(false);
    }
    let due = store::claim_due(&deps.pool, i64::try_from(room).unwrap_or(i64::MAX), LEASE).await?;
    let claimed_all = due.len() < room;
    for due in due {
        // only this task takes permits, so those that were available are
        let Ok(slot) = slots.clone().try_acquire_owned() else { break };
        let span = info_span!("recovery", order.id = %due.id);
        deps.shutdown.spawn_work(attempt(deps.clone(), due, slot).instrument(span));
    }
    Ok(claimed_all)
}

async fn attempt(deps: Deps, due: Due, _slot: OwnedSemaphorePermit) {
    match take_further(&deps, due).await {
        Ok(kept) if kept.order.state.is_settled() => return,
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
    let is_overdue = due.decide_in.is_zero();
    info!(order.id = %due.id, state = kept.order.state.name(), is_overdue, "taking the order up again");
    let first = is_overdue.then_some(Fact::DeadlinePassed);
    // an order that is still wanted is not asked for beyond its time: then it is to be unwound
    let time = if is_overdue || kept.order.state.is_decided() { ATTEMPT } else { ATTEMPT.min(due.decide_in) };
    carry_on(deps, kept, first, Instant::now() + time).await
}
