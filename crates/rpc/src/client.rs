//! Asking another service: a deadline on every call, the trace handed on, and calls that may be repeated tried again for a
//! moment when the other side is away.

use std::{error::Error as _, future::Future, time::Duration};

use backon::{ExponentialBuilder, Retryable};
use contracts::problem::ProblemCode;
use service_runtime::telemetry;
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Request, Response, Status, Streaming, TimeoutExpired};

use crate::status;

/// How long opening a connection may take.
pub(crate) const CONNECT_DEADLINE: Duration = Duration::from_secs(1);

/// How often an idle connection is asked whether it still lives, and how long it may take to say so.
pub(crate) const KEEPALIVE: Duration = Duration::from_secs(10);

/// Tries of one call, the first included.
const TRIES_MAX: usize = 3;

/// Asks, and if the service cannot be reached asks again, three times in all and never beyond `budget`. For calls that may be
/// repeated: reads, and changes that carry a key. A service that says itself that it is UNAVAILABLE is not asked again: it has
/// too much to do, or waits for something itself, and three calls for one would make it worse.
pub async fn ask<Q, A, C, F>(budget: Duration, message: Q, call: C) -> Result<A, Status>
where
    Q: Clone,
    C: Fn(Request<Q>) -> F,
    F: Future<Output = Result<Response<A>, Status>>,
{
    let deadline = Instant::now() + budget;
    let asking = (|| ask_until(deadline, message.clone(), &call))
        .retry(tries())
        // what a service says itself has details
        .when(|status: &Status| status.code() == Code::Unavailable && status.details().is_empty());
    timeout_at(deadline, asking).await.unwrap_or_else(|_| Err(too_late()))
}

/// Asks once. For changes that must not be repeated.
pub async fn ask_once<Q, A, C, F>(budget: Duration, message: Q, call: C) -> Result<A, Status>
where
    C: Fn(Request<Q>) -> F,
    F: Future<Output = Result<Response<A>, Status>>,
{
    ask_until(Instant::now() + budget, message, &call).await
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

/// When a service that cannot be reached is asked again.
pub(crate) fn tries() -> ExponentialBuilder {
    ExponentialBuilder::default().with_min_delay(Duration::from_millis(20)).with_jitter().with_max_times(TRIES_MAX - 1)
}

async fn ask_until<Q, A, C, F>(deadline: Instant, message: Q, call: &C) -> Result<A, Status>
where
    C: Fn(Request<Q>) -> F,
    F: Future<Output = Result<Response<A>, Status>>,
{
    let mut request = Request::new(message);
    request.set_timeout(deadline.saturating_duration_since(Instant::now()));
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
    match status.source() {
        // the clock that tonic sets by the same deadline was a moment faster than ours
        Some(cause) if began_with::<TimeoutExpired>(cause) => too_late(),
        Some(cause) => {
            Status::unavailable(format!("the connection broke before the answer: {}: {cause}", status.message()))
        }
        None => status,
    }
}

fn began_with<E: std::error::Error + 'static>(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<E>() || error.source().is_some_and(began_with::<E>)
}

pub(crate) fn too_late() -> Status {
    status(ProblemCode::DeadlineExceeded, "the answer did not come in time")
}
