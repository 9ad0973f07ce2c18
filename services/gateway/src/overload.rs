//! Shedding what cannot be worked on, so that what can be is answered in time.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use contracts::problem::ProblemCode;

use crate::{Gateway, problem::Problem};

/// Works on so many requests at once and refuses the rest at once. A body is read before: a client that sends slowly
/// takes nobody's place.
pub async fn shed(State(gateway): State<Arc<Gateway>>, request: Request, next: Next) -> Response {
    match gateway.requests.try_acquire() {
        Ok(_permit) => next.run(request).await,
        Err(_) => Problem::new(ProblemCode::Unavailable, "too much is going on; trying again is safe").into_response(),
    }
}
