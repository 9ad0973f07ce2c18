//! Charging what is written down, a bounded number of orders at once, until each is done with. Every replica may run it.

use std::{sync::Arc, time::Duration};

use service_runtime::{telemetry, worker::Worker};
use tokio::sync::Notify;
use tracing::{Instrument, debug, field::Empty, info_span, warn};

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
const REPEATED_AT_ONCE: usize = 24;

/// How long a claimed order is nobody else's; longer than an attempt takes. (Should one take longer, two attempt the
/// same order, and nothing breaks: see [`attempt`].)
const LEASE: Duration = Duration::from_secs(10);

/// The longest pause between two attempts: short enough for an order to end within half a minute of the end of whatever kept
/// it. An order is attempted until it is done with, however often that is: only order gives up.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Attempts new work, as soon as `wake` tells of some, until the end of the process is requested.
pub async fn attempt_new(deps: Deps, wake: Arc<Notify>) {
    run(deps, Queue::New, Worker { name: "new charges", at_once: NEW_AT_ONCE, wake, look_every: LOOK_EVERY }).await;
}

/// Attempts work again that was attempted before, until the end of the process is requested.
pub async fn attempt_again(deps: Deps) {
    // it is due later, so nobody can tell of it
    let wake = Arc::default();
    let worker = Worker { name: "repeated charges", at_once: REPEATED_AT_ONCE, wake, look_every: LOOK_EVERY };
    run(deps, Queue::Repeated, worker).await;
}

async fn run(deps: Deps, queue: Queue, worker: Worker) {
    let claim = {
        let pool = deps.pool.clone();
        move |room, back| {
            let pool = pool.clone();
            async move { work::claim(&pool, queue, room, back, LEASE).await }
        }
    };
    let shutdown = deps.shutdown.clone();
    worker
        .run(shutdown, claim, move |work: Work| {
            let deps = deps.clone();
            async move { attempt_or_postpone(&deps, &work).await }
        })
        .await;
}

async fn attempt_or_postpone(deps: &Deps, work: &Work) {
    let span = info_span!("charge by letter", order.id = %work.order_id, trace_id = Empty);
    telemetry::join(&span, work.traceparent.as_deref());
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
