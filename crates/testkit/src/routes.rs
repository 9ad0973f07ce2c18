//! Asking HTTP routes without a socket.

use axum::{
    Router,
    body::{Body, to_bytes},
    http::Request,
};
use serde_json::Value;
use tower::ServiceExt;

/// More than any answer has.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What these routes answer: the status, and the body as JSON, or as a string when it is none.
pub async fn ask(routes: &Router, method: &str, path: &str) -> (u16, Value) {
    let request = Request::builder().method(method).uri(path).body(Body::empty()).expect("the path is one");
    let answer = match routes.clone().oneshot(request).await {
        Ok(answer) => answer,
        Err(never) => match never {},
    };
    let status = answer.status().as_u16();
    let body = to_bytes(answer.into_body(), BODY_BYTES_MAX).await.expect("the answer comes whole");
    let body = serde_json::from_slice(&body).unwrap_or_else(|_| String::from_utf8_lossy(&body).into_owned().into());
    (status, body)
}
