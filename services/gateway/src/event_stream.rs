//! Streams of server-sent events (WHATWG HTML, section 9.2): what is the same whatever is watched.

use std::{convert::Infallible, future::Future, str::FromStr, sync::Arc, time::Duration};

use aide::{OperationInput, generate::GenContext, openapi::Operation};
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, header::CACHE_CONTROL, request::Parts},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use contracts::problem::ProblemCode;
use metrics::gauge;
use tokio::{sync::mpsc, time::sleep};
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tonic::{Request, Response as Answer, Status, Streaming};
use tracing::{Instrument, Span};

use crate::{
    ASK_DEADLINE, Gateway,
    caller::Known,
    follow::{Change, follow},
    issuer::Claims,
    openapi,
    problem::Problem,
    spelling::Spelled,
};

/// How often a comment is sent when there is nothing else, so that nobody on the way takes the stream for dead.
const COMMENT_EVERY: Duration = Duration::from_secs(15);

/// How long a stream lives, if the token of who watches is valid for so long: nobody who has lost his rights goes on watching.
const STREAM_TIME_MAX: Duration = Duration::from_mins(15);

/// Changes that wait until the client takes them; the service is not listened to while there are more.
const WAITING_MAX: usize = 16;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Proxies of nginx's kind keep an answer back until it is whole, unless they are told not to.
const UNBUFFERED: (HeaderName, &str) = (HeaderName::from_static("x-accel-buffering"), "no");

/// What the client has seen: the `id` of the last event that it got, if it got any.
#[derive(Debug, Clone, Copy)]
pub struct LastEventId<P>(pub Option<P>);

impl<P: FromStr> FromRequestParts<Arc<Gateway>> for LastEventId<P> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Gateway>) -> Result<Self, Problem> {
        last_event_id(&parts.headers).map(Self).map_err(|Wrong| {
            let detail = "Last-Event-ID must be the id of the last event that you got, or not be there";
            Problem::new(ProblemCode::Malformed, detail)
        })
    }
}

impl<P: Spelled> OperationInput for LastEventId<P> {
    fn operation_input(_: &mut GenContext, operation: &mut Operation) {
        let about = "The `id` of the last event that you got: the stream goes on after it. Without it, it begins at its beginning.";
        openapi::takes_header(operation, &LAST_EVENT_ID, false, about, &P::schema());
    }
}

/// Who watches. What a handler takes to know who calls stands before it.
#[derive(Debug, Clone)]
pub struct Watcher(Arc<Claims>);

impl FromRequestParts<Arc<Gateway>> for Watcher {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Gateway>) -> Result<Self, Problem> {
        let Known(claims) = parts.extensions.get().expect("who calls was asked before");
        Ok(Self(claims.clone()))
    }
}

impl OperationInput for Watcher {}

/// The header is none, or there twice.
#[derive(Debug, PartialEq, Eq)]
struct Wrong;

fn last_event_id<P: FromStr>(headers: &HeaderMap) -> Result<Option<P>, Wrong> {
    let mut values = headers.get_all(LAST_EVENT_ID).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let id = value.to_str().ok().and_then(|text| text.parse().ok()).ok_or(Wrong)?;
    if values.next().is_none() { Ok(Some(id)) } else { Err(Wrong) }
}

/// A number from 0 on, written in digits; `parse` alone would take a sign.
pub fn number(text: &str) -> Option<i64> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Opens a stream at a service. That has a deadline, the stream has none.
pub async fn open<Q, C, F>(request: Q, call: impl Fn(Request<Q>) -> F) -> Result<Streaming<C>, Status>
where
    Q: Clone,
    F: Future<Output = Result<Answer<Streaming<C>>, Status>>,
{
    let opening = rpc::ask(ASK_DEADLINE, request, |mut request| {
        // a proxy on the way would end the stream by this header
        request.metadata_mut().remove("grpc-timeout");
        call(request)
    });
    opening.await
}

/// Answers with the changes after `seen`, each as an event. `watch_after` opens them at the service, and again after those that
/// came when it breaks off.
pub async fn answer<C, F>(
    gateway: &Gateway,
    Watcher(watcher): Watcher,
    seen: C::Position,
    watch_after: impl Fn(C::Position) -> F + Send + 'static,
    event: fn(C) -> Event,
) -> Result<Response, Problem>
where
    C: Change,
    F: Future<Output = Result<Streaming<C>, Status>> + Send + 'static,
{
    let place = gateway.watchers.place(watcher.account)?;
    let time_max = watcher.time_left().min(STREAM_TIME_MAX);
    let changes = watch_after(seen).await?;
    let (client, handed_on) = mpsc::channel(WAITING_MAX);
    let end_requested = gateway.shutdown.clone();
    let following = async move {
        let _place = place;
        gauge!("event_streams").increment(1.0);
        tokio::select! {
            () = follow(changes, seen, watch_after, &client) => {}
            () = client.closed() => {}
            () = sleep(time_max) => {}
            // the client goes on at another gateway, from the last event that it got
            () = end_requested.requested() => {}
        }
        gauge!("event_streams").decrement(1.0);
    };
    // a task of its own: a client that takes nothing does not stop the clock that it is given up by
    gateway.shutdown.spawn_work(following.instrument(Span::current()));
    let events = ReceiverStream::new(handed_on).map(move |change| Ok::<_, Infallible>(event(change)));
    let stream = Sse::new(events).keep_alive(KeepAlive::new().interval(COMMENT_EVERY));
    Ok(([(CACHE_CONTROL, "no-store"), UNBUFFERED], stream).into_response())
}

/// An event as it is sent: its lines sorted, as their order means nothing. The empty line that ends it is not among them.
#[cfg(test)]
pub async fn lines(event: Event) -> Vec<String> {
    use http_body_util::BodyExt;

    let stream = tokio_stream::once(Ok::<_, Infallible>(event));
    let body = Sse::new(stream).into_response().into_body().collect().await.unwrap().to_bytes();
    let mut lines: Vec<String> = std::str::from_utf8(&body).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(lines.pop().as_deref(), Some(""));
    lines.sort_unstable();
    lines
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    /// Text that is one word.
    #[derive(Debug, PartialEq, Eq)]
    struct Word(String);

    impl FromStr for Word {
        type Err = ();

        fn from_str(text: &str) -> Result<Self, ()> {
            if text.contains(' ') { Err(()) } else { Ok(Self(text.to_owned())) }
        }
    }

    #[test]
    fn a_last_event_id_is_there_once_or_not_at_all() {
        let read = |values: &[&str]| {
            let mut request = Request::get("/");
            for value in values {
                request = request.header(LAST_EVENT_ID, value.as_bytes());
            }
            last_event_id(request.body(()).unwrap().headers())
        };
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&["one"]), Ok(Some(Word("one".to_owned()))));
        for wrong in [["one", "one"].as_slice(), &["one", ""], &["one two"], &["schlüssel"]] {
            assert_eq!(read(wrong), Err(Wrong), "{wrong:?}");
        }
    }

    #[test]
    fn a_number_is_digits_and_fits() {
        for (right, value) in [("0", 0), ("7", 7), ("007", 7), ("9223372036854775807", i64::MAX)] {
            assert_eq!(number(right), Some(value), "{right}");
        }
        for wrong in ["", "-1", "+1", "1.0", "1e3", "0x1", "one", "1 2", "1,2", "9223372036854775808", "١"] {
            assert_eq!(number(wrong), None, "{wrong}");
        }
    }

    mod fuzz {
        use super::*;

        #[test]
        fn a_number_is_digits_that_fit_and_nothing_else() {
            fuzzing::target!(
                "last_event_ids",
                &["7", "0", "9223372036854775807", "9223372036854775808", "+1", "1\n1"],
                |bytes| {
                    let Ok(text) = str::from_utf8(bytes) else { return };
                    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                    let digits = text.trim_start_matches('0');
                    let most = i64::MAX.to_string();
                    let fits = digits.len() < most.len() || (digits.len() == most.len() && digits <= most.as_str());
                    match number(text) {
                        Some(read) => {
                            assert!(is_number && fits && read >= 0);
                            assert_eq!(read.to_string(), if digits.is_empty() { "0" } else { digits });
                        }
                        None => assert!(!is_number || !fits),
                    }
                }
            );
        }
    }
}
