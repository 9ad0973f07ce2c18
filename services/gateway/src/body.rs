//! What a request brings: a JSON body, or a query.
//!
//! A body is read in two places, because what cannot be read at all is answered before anything else is looked at:
//! [`readable`] (and [`readable_if_any`]) wraps the routes that take a body and ends in 400, 408, 413 or 415; [`Body`] is
//! the extractor in the handler, after who calls is known, and ends in 422.

use std::{sync::Arc, time::Duration};

use aide::{OperationInput, generate::GenContext, openapi::Operation};
use axum::{
    extract::{FromRequest, FromRequestParts, Request, State},
    http::{HeaderMap, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use contracts::problem::ProblemCode;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body as _;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout},
};

use crate::{
    Gateway,
    fields::{self, FromFields, Nothing, Tree},
    openapi,
    problem::Problem,
};

/// The longest body, in bytes.
pub const BODY_BYTES_MAX: usize = 256 * 1024;

/// How long a body may take to arrive.
pub const BODY_TIME_MAX: Duration = Duration::from_secs(30);

/// How much of a body that is refused is read, and for how long.
const DISCARDED_BYTES_MAX: usize = 4 * BODY_BYTES_MAX;
const DISCARDED_TIME_MAX: Duration = Duration::from_secs(1);

/// A body that was read, and when it had arrived.
#[derive(Debug, Clone)]
struct Arrived {
    tree: Arc<Tree>,
    at: Instant,
}

/// Reads the body of a request for the handler.
pub async fn readable(State(gateway): State<Arc<Gateway>>, request: Request, next: Next) -> Response {
    hand_over(&gateway, request, next, None).await
}

/// As [`readable`], for requests that say all with their path: no body counts as `{}`.
pub async fn readable_if_any(State(gateway): State<Arc<Gateway>>, request: Request, next: Next) -> Response {
    hand_over(&gateway, request, next, Some(Tree::Object(Vec::new()))).await
}

async fn hand_over(gateway: &Gateway, request: Request, next: Next, if_none: Option<Tree>) -> Response {
    let (mut parts, body) = request.into_parts();
    let mut room = Room::none(&gateway.body_room);
    let read = match if_none {
        Some(tree) if body.is_end_stream() => Ok(tree),
        _ => read(&parts.headers, body, &mut room).await,
    };
    match read {
        Ok(tree) => {
            parts.extensions.insert(Arrived { tree: Arc::new(tree), at: Instant::now() });
            next.run(Request::from_parts(parts, axum::body::Body::empty())).await
        }
        Err(problem) => problem.into_response(),
    }
}

/// What a body takes of all that bodies may take, as much as has come of it: who sends slowly takes little.
#[derive(Debug)]
struct Room<'a> {
    all: &'a Semaphore,
    taken: Option<SemaphorePermit<'a>>,
}

impl<'a> Room<'a> {
    const fn none(all: &'a Semaphore) -> Self {
        Self { all, taken: None }
    }

    /// Takes what is missing for so many bytes; 503 when there is no more.
    fn hold(&mut self, bytes: usize) -> Result<(), Problem> {
        let missing = bytes.div_ceil(1024).saturating_sub(self.taken.as_ref().map_or(0, SemaphorePermit::num_permits));
        let missing = u32::try_from(missing).expect("a body is not that long");
        let more = self.all.try_acquire_many(missing).map_err(|_| {
            Problem::new(ProblemCode::Unavailable, "too many bodies are on their way; trying again is safe")
        })?;
        match &mut self.taken {
            Some(taken) => taken.merge(more),
            None => self.taken = Some(more),
        }
        Ok(())
    }
}

/// All of a body.
async fn collect(body: axum::body::Body, room: &mut Room<'_>) -> Result<Vec<u8>, Problem> {
    let mut body = Limited::new(body, BODY_BYTES_MAX);
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => {
                let Some(data) = frame.data_ref() else { continue };
                room.hold(bytes.len() + data.len())?;
                bytes.extend_from_slice(data);
            }
            Err(error) if error.is::<LengthLimitError>() => return Err(too_large()),
            Err(_) => return Err(Problem::new(ProblemCode::Malformed, "the body ended early or is badly framed")),
        }
    }
    Ok(bytes)
}

async fn read(headers: &HeaderMap, body: axum::body::Body, room: &mut Room<'_>) -> Result<Tree, Problem> {
    if headers.contains_key(header::CONTENT_TYPE) && !is_json(headers) || is_encoded(headers) {
        discard(body).await;
        return Err(not_json());
    }
    if body.size_hint().lower() > BODY_BYTES_MAX as u64 {
        discard(body).await;
        return Err(too_large());
    }
    let bytes = timeout(BODY_TIME_MAX, collect(body, room)).await.map_err(|_| {
        let detail = format!("the body did not arrive within {} s", BODY_TIME_MAX.as_secs());
        Problem::new(ProblemCode::RequestTimeout, detail)
    })??;
    // nothing at all is no JSON, whatever it is called
    if !bytes.is_empty() && !headers.contains_key(header::CONTENT_TYPE) {
        return Err(not_json());
    }
    Tree::parse(&bytes).map_err(|error| Problem::new(ProblemCode::Malformed, format!("the body is no JSON: {error}")))
}

/// Reads what is not wanted, up to a point. Most clients write all before they read: were the connection closed over what they have
/// written, the reset would take our answer with it.
async fn discard(body: axum::body::Body) {
    let mut body = Limited::new(body, DISCARDED_BYTES_MAX);
    let reading = async { while let Some(Ok(_)) = body.frame().await {} };
    // who is slower may lose the answer
    let _ = timeout(DISCARDED_TIME_MAX, reading).await;
}

fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let essence = types.next().and_then(|value| value.to_str().ok()?.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json")) && types.next().is_none()
}

fn is_encoded(headers: &HeaderMap) -> bool {
    headers.get_all(header::CONTENT_ENCODING).iter().any(|encoding| encoding != "identity")
}

fn not_json() -> Problem {
    let detail = "the body must be JSON, with Content-Type: application/json and no Content-Encoding";
    Problem::new(ProblemCode::UnsupportedMediaType, detail)
}

fn too_large() -> Problem {
    Problem::new(ProblemCode::TooLarge, format!("a body has {BODY_BYTES_MAX} bytes at most"))
}

/// The body of a request as a right `T`, and when it had arrived. A request with a body takes no query.
#[derive(Debug)]
pub struct Body<T> {
    /// What was sent.
    pub value: T,
    /// When the last byte had come: deadlines count from here.
    pub arrived_at: Instant,
}

impl<T: FromFields> FromRequest<Arc<Gateway>> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, gateway: &Arc<Gateway>) -> Result<Self, Problem> {
        let (mut parts, _) = request.into_parts();
        let Query(Nothing) = Query::from_request_parts(&mut parts, gateway).await?;
        let Arrived { tree, at } =
            parts.extensions.remove().expect("routes wrap every route with a body in one of the two");
        let value = fields::read(&tree).map_err(Problem::invalid)?;
        Ok(Self { value, arrived_at: at })
    }
}

/// The query of a request as a right `T`.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: FromFields> FromRequestParts<Arc<Gateway>> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Gateway>) -> Result<Self, Problem> {
        let tree = Tree::of_query(parts.uri.query().unwrap_or_default());
        fields::read(&tree).map(Self).map_err(Problem::invalid)
    }
}

impl<T: FromFields> OperationInput for Body<T> {
    fn operation_input(_: &mut GenContext, operation: &mut Operation) {
        openapi::takes_body::<T>(operation, &fields::described::<T>());
        openapi::may_end_in(
            operation,
            &[
                ProblemCode::RequestTimeout,
                ProblemCode::TooLarge,
                ProblemCode::UnsupportedMediaType,
                ProblemCode::Invalid,
            ],
        );
    }
}

impl<T: FromFields> OperationInput for Query<T> {
    fn operation_input(_: &mut GenContext, operation: &mut Operation) {
        openapi::takes_query(operation, &fields::described::<T>());
        openapi::may_end_in(operation, &[ProblemCode::Invalid]);
    }
}
