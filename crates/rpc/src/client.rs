//! Asking another service: a deadline on every call, the trace handed on, and calls that may be repeated tried again for a
//! moment when the other side is away.

use std::{error::Error as _, future::Future, time::Duration};

use backon::{BackoffBuilder, ExponentialBuilder};
use contracts::problem::ProblemCode;
use service_runtime::telemetry;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::{Code, Request, Response, Status, Streaming, TimeoutExpired};

use crate::{machinery, not_sent::NotSent, retries::TRIES_BEFORE, status};

/// How long opening a connection may take.
pub(crate) const CONNECT_DEADLINE: Duration = Duration::from_secs(1);

/// How often an idle connection is asked whether it still lives, and how long it may take to say so.
pub(crate) const KEEPALIVE: Duration = Duration::from_secs(10);

/// Tries of one call, the first included.
const TRIES_MAX: usize = 3;

/// The pause before the second; it doubles, and up to as much again is added by chance.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// Asks, and if the service cannot be reached asks again, three times in all and never beyond `budget`. For calls that may be
/// repeated: reads, and changes that carry a key. A service that says itself that it is UNAVAILABLE is not asked again: it has
/// too much to do, or waits for something itself, and three calls for one would make it worse. Nor is one that answers nobody, and
/// nobody is when too many calls are being repeated.
pub async fn ask<Q, A, C, F>(budget: Duration, message: Q, call: C) -> Result<A, Status>
where
    Q: Clone,
    C: Fn(Request<Q>) -> F,
    F: Future<Output = Result<Response<A>, Status>>,
{
    let deadline = Instant::now() + budget;
    again_and_again(deadline, |before| ask_until(deadline, message.clone(), before, &call)).await
}

/// Asks once. For changes that must not be repeated.
pub async fn ask_once<Q, A, C, F>(budget: Duration, message: Q, call: C) -> Result<A, Status>
where
    C: Fn(Request<Q>) -> F,
    F: Future<Output = Result<Response<A>, Status>>,
{
    ask_until(Instant::now() + budget, message, 0, &call).await
}

/// Asks about a list of one and gives its outcome.
pub async fn ask_one<Q, A, C, F>(budget: Duration, message: Q, call: C) -> Result<A, Status>
where
    Q: Clone,
    C: Fn(Request<Q>) -> F,
    F: Future<Output = Result<Response<Streaming<A>>, Status>>,
{
    let deadline = Instant::now() + budget;
    let mut outcomes = ask(budget, message, call).await?;
    let first = timeout_at(deadline, outcomes.message()).await.unwrap_or_else(|_| Err(too_late()));
    first.map_err(or_broken)?.ok_or_else(|| status(ProblemCode::Unavailable, "the call ended without an outcome"))
}

/// Tries what may be repeated, by `once`, which is told how many tries there were before, until there is an answer or no sense in
/// another try. Gives what is known in the end: a try that was sent may have been heard, so none that was not sent hides it.
pub(crate) async fn again_and_again<A, F>(deadline: Instant, mut once: impl FnMut(u32) -> F) -> Result<A, Status>
where
    F: Future<Output = Result<A, Status>>,
{
    let mut known = match once(0).await {
        Err(status) if may_be_repeated(&status) => status,
        told => return told,
    };
    let pauses = ExponentialBuilder::default().with_min_delay(FIRST_PAUSE).with_jitter().with_max_times(TRIES_MAX - 1);
    for (before, pause) in (1..).zip(pauses.build()) {
        if Instant::now() + pause >= deadline {
            break;
        }
        sleep(pause).await;
        let status = match once(before).await {
            Err(status) => status,
            answer => return answer,
        };
        let is_last = !may_be_repeated(&status);
        match NotSent::of(&status) {
            Some(NotSent::Spared) => {}
            Some(_) if NotSent::of(&known).is_none() => {}
            _ => known = status,
        }
        if is_last {
            break;
        }
    }
    Err(known)
}

/// Whether another try may find somebody.
fn may_be_repeated(status: &Status) -> bool {
    // what a service says itself has details
    status.code() == Code::Unavailable
        && status.details().is_empty()
        && matches!(NotSent::of(status), None | Some(NotSent::Unreachable))
}

async fn ask_until<Q, A, C, F>(deadline: Instant, message: Q, tries_before: u32, call: &C) -> Result<A, Status>
where
    C: Fn(Request<Q>) -> F,
    F: Future<Output = Result<Response<A>, Status>>,
{
    let mut request = Request::new(message);
    request.set_timeout(deadline.saturating_duration_since(Instant::now()));
    if tries_before > 0 {
        request.metadata_mut().insert(TRIES_BEFORE, tries_before.into());
    }
    if let Some(traceparent) = telemetry::traceparent().and_then(|text| text.parse().ok()) {
        request.metadata_mut().insert("traceparent", traceparent);
    }
    let answered = timeout_at(deadline, call(request)).await.unwrap_or_else(|_| Err(too_late()));
    answered.map(Response::into_inner).map_err(or_broken)
}

/// What a service says itself has no cause; a status with one is of the connection: it broke, was closed in order before the call
/// was heard, or the other side had enough of it. tonic has half a dozen codes for that (0.14.9: UNKNOWN, CANCELLED, INTERNAL,
/// RESOURCE_EXHAUSTED), and all are as good as a service that is away: nobody knows whether it did what was asked.
pub(crate) fn or_broken(status: Status) -> Status {
    if NotSent::of(&status).is_some() {
        return status;
    }
    match status.source() {
        // the clock that tonic sets by the same deadline was a moment faster than ours
        Some(cause) if began_with::<TimeoutExpired>(cause) => too_late(),
        Some(cause) => {
            Status::unavailable(format!("the connection broke before the answer: {}: {cause}", status.message()))
        }
        None if machinery::is_oversize(&status) => machinery::oversize(ProblemCode::Internal, "the answer"),
        None => status,
    }
}

fn began_with<E: std::error::Error + 'static>(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<E>() || error.source().is_some_and(began_with::<E>)
}

pub(crate) fn too_late() -> Status {
    status(ProblemCode::DeadlineExceeded, "the answer did not come in time")
}
