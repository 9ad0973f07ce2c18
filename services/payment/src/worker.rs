//! Charging what is written down, a bounded number of orders at once, until each is done with. Every replica may run it.

use std::{sync::Arc, time::Duration};

use service_runtime::telemetry;
use tokio::{
    sync::{Notify, Semaphore},
    time::sleep,
};
use tracing::{Instrument, debug, info_span, warn};

use crate::{
    Deps,
    by_letter::{Attempt, attempt},
    work::{self, Queue, Work},
};

/// How often work is looked for that nobody told of: it was due later, or who wrote it down is dead.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Orders attempted at once for the first time.
const NEW_AT_ONCE: usize = 24;

/// Orders attempted at once that were attempted before.
const REPEATED_AT_ONCE: usize = 8;

/// How long a claimed order is nobody else's; longer than an attempt takes. (Should one take longer, two attempt the
/// same order, and nothing breaks: see [`attempt`].)
const LEASE: Duration = Duration::from_secs(10);

/// The longest pause between two attempts. An order is attempted until it is done with, however often that is: only
/// order gives up.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Tells the worker of this process that work was written down.
#[derive(Debug, Clone, Default)]
pub struct Bell(Arc<Notify>);

impl Bell {
    /// Call it after the commit. Cheap; calls add up to one look.
    pub fn ring(&self) {
        self.0.notify_one();
    }
}

/// Attempts new work, as soon as the bell rings, until the end of the process is requested.
pub async fn attempt_new(deps: Deps, bell: Bell) {
    run(deps, Queue::New, NEW_AT_ONCE, bell).await;
}

/// Attempts work again that was attempted before, until the end of the process is requested.
pub async fn attempt_again(deps: Deps) {
    run(deps, Queue::Repeated, REPEATED_AT_ONCE, Bell::default()).await;
}

async fn run(deps: Deps, queue: Queue, at_once: usize, bell: Bell) {
    let places = Arc::new(Semaphore::new(at_once));
    loop {
        let free = places.available_permits();
        let claimed = match work::claim(&deps.pool, queue, free, LEASE).await {
            Ok(claimed) => claimed,
            Err(error) => {
                warn!(%error, "orders that are to be charged wait");
                Vec::new()
            }
        };
        let is_full = claimed.len() == free;
        for work in claimed {
            let place = Arc::clone(&places).try_acquire_owned().expect("only this loop takes places");
            let deps = deps.clone();
            deps.shutdown.clone().spawn_work(async move {
                attempt_or_postpone(&deps, &work).await;
                drop(place);
            });
        }
        // a transaction is never cut short, only the wait for the next one is
        let more = async {
            if is_full {
                // there may be more than there were places for
                drop(places.acquire().await);
            } else {
                tokio::select! {
                    () = bell.0.notified() => {}
                    () = sleep(LOOK_EVERY) => {}
                }
            }
        };
        tokio::select! {
            () = deps.shutdown.requested() => return,
            () = more => {}
        }
    }
}

async fn attempt_or_postpone(deps: &Deps, work: &Work) {
    let span = info_span!("charge by letter", order.id = %work.order_id);
    if let Some(traceparent) = &work.traceparent {
        telemetry::set_parent(&span, traceparent);
    }
    async {
        match attempt(deps, work).await {
            Ok(Attempt::Done) => return,
            Ok(Attempt::Unknown) => {}
            // once is enough: the age of the oldest work is a metric
            Err(error) if work.attempts == 1 => warn!(order.id = %work.order_id, "not charged yet: {error}"),
            Err(error) => debug!(order.id = %work.order_id, attempts = work.attempts, "still not charged: {error}"),
        }
        if let Err(error) = work::postpone(&deps.pool, work.order_id, PAUSE_MAX).await {
            warn!(order.id = %work.order_id, %error, "it is attempted again when its lease ends");
        }
    }
    .instrument(span)
    .await;
}
