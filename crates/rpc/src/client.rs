//! Asking another service: a deadline on every call, the trace handed on, and calls that may be repeated tried again for a
//! moment when the other side is away.

use std::{error::Error as _, future::Future, time::Duration};

use backon::{ExponentialBuilder, Retryable};
use contracts::problem::ProblemCode;
use service_runtime::{Error, telemetry};
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Request, Response, Status, Streaming, transport::Endpoint};

use crate::{Channel, status};

/// How long opening a connection may take.
const CONNECT_DEADLINE: Duration = Duration::from_secs(1);

/// How often an idle connection is asked whether it still lives, and how long it may take to say so.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// Tries of one call, the first included.
const TRIES_MAX: usize = 3;

/// A connection to the service at `url`, opened at the first call and again whenever it breaks.
pub fn channel(url: &str) -> Result<Channel, Error> {
    let endpoint = Endpoint::from_shared(url.to_owned())
        .map_err(|error| Error::Config(format!("{url} is no URL like http://127.0.0.1:50051: {error}")))?;
    let channel = endpoint
        .connect_timeout(CONNECT_DEADLINE)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .keep_alive_while_idle(true)
        .connect_lazy();
    Ok(Channel::over(channel))
}

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
    let tries = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(20))
        .with_jitter()
        .with_max_times(TRIES_MAX - 1);
    let asking = (|| ask_until(deadline, message.clone(), &call))
        .retry(tries)
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

/// A connection that broke before the answer is tonic's UNKNOWN, and one that the other side had enough of is its
/// RESOURCE_EXHAUSTED, with a cause; what a service says itself has none. It is as good as a service that is away: nobody knows
/// whether it did what was asked.
fn or_broken(status: Status) -> Status {
    match status.source() {
        Some(cause) if matches!(status.code(), Code::Unknown | Code::ResourceExhausted) => {
            Status::unavailable(format!("the connection broke before the answer: {}: {cause}", status.message()))
        }
        _ => status,
    }
}

fn too_late() -> Status {
    status(ProblemCode::DeadlineExceeded, "the answer did not come in time")
}
