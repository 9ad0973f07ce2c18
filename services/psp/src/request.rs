//! Reading requests: limits, and a [`Problem`] for whatever cannot be read.

use std::time::Duration;

use axum::{
    Json,
    extract::{FromRequest, FromRequestParts, Path, Query, Request, rejection::JsonRejection},
    http::{StatusCode, request::Parts},
};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::{problem::Problem, reference::Reference};

/// The longest body, in bytes; a right one has a few hundred.
pub const BODY_BYTES_MAX: usize = 4096;

/// How long a body may take to arrive.
const BODY_TIME_MAX: Duration = Duration::from_secs(10);

/// A JSON body. What is no JSON is 400, what is wrong in it 422, too much of it 413.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let reading = timeout(BODY_TIME_MAX, Json::from_request(request, state)).await;
        let Json(value) = reading
            .map_err(|_| Problem::new(StatusCode::REQUEST_TIMEOUT, "request-timeout", "the body came too slowly"))?
            .map_err(|rejection| refuse(&rejection))?;
        Ok(Self(value))
    }
}

fn refuse(rejection: &JsonRejection) -> Problem {
    let code = match rejection.status() {
        StatusCode::UNPROCESSABLE_ENTITY => "invalid",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "unsupported-media-type",
        StatusCode::PAYLOAD_TOO_LARGE => "too-large",
        _ => "malformed",
    };
    Problem::new(rejection.status(), code, rejection.body_text())
}

/// The reference in the path. What cannot be a reference belongs to no charge: 404.
#[derive(Debug)]
pub struct PathReference(pub Reference);

impl<S: Send + Sync> FromRequestParts<S> for PathReference {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await.map_err(|_| Problem::unknown_charge())?;
        Reference::try_from(path.0).map(Self).map_err(|_| Problem::unknown_charge())
    }
}

/// The parameters of the query. What is wrong, or unknown, is 422.
#[derive(Debug)]
pub struct Parameters<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::from_request_parts(parts, state).await;
        query.map(|Query(value)| Self(value)).map_err(|rejection| Problem::invalid(rejection.body_text()))
    }
}
