//! The header Idempotency-Key: what makes a request safe to repeat.

use std::sync::Arc;

use aide::{OperationInput, generate::GenContext, openapi::Operation};
use axum::{
    extract::FromRequestParts,
    http::{HeaderName, request::Parts},
    response::AppendHeaders,
};
use contracts::{ids::AccountId, problem::ProblemCode};
use uuid::Uuid;

use serde_json::json;

use crate::{Gateway, openapi, problem::Problem};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// 8 to 100 printable ASCII characters, taken as they are.
#[derive(Debug, Clone)]
pub struct IdempotencyKey(pub String);

impl IdempotencyKey {
    /// The key as a service knows it that has one space of keys for all callers: a name-based UUID (RFC 9562, version 5)
    /// of who asks, for what, under which key.
    pub fn scoped(&self, caller: AccountId, method_and_path: &str) -> String {
        Uuid::new_v5(&caller.as_uuid(), format!("{method_and_path} {}", self.0).as_bytes()).to_string()
    }
}

impl FromRequestParts<Arc<Gateway>> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Gateway>) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all(IDEMPOTENCY_KEY).iter();
        let value = values.next().ok_or_else(|| {
            let detail = "send a header Idempotency-Key: a new one for each request, the same one to repeat it";
            Problem::new(ProblemCode::IdempotencyKeyMissing, detail)
        })?;
        let printable = value.as_bytes().iter().all(|byte| matches!(byte, b' '..=b'~'));
        match value.to_str() {
            Ok(key) if printable && (8..=100).contains(&key.len()) && values.next().is_none() => {
                Ok(Self(key.to_owned()))
            }
            _ => {
                let detail = "Idempotency-Key must be one header of 8 to 100 printable ASCII characters";
                Err(Problem::new(ProblemCode::IdempotencyKeyMalformed, detail))
            }
        }
    }
}

impl OperationInput for IdempotencyKey {
    fn operation_input(_: &mut GenContext, operation: &mut Operation) {
        let about = "A new one for each request, the same one to repeat it; 8 to 100 printable ASCII characters.";
        let schema = json!({"type": "string", "minLength": 8, "maxLength": 100, "pattern": "^[!-~]([ -~]*[!-~])?$"});
        openapi::takes_header(operation, &IDEMPOTENCY_KEY, true, about, &schema);
        openapi::may_end_in(
            operation,
            &[
                ProblemCode::IdempotencyKeyMissing,
                ProblemCode::IdempotencyKeyMalformed,
                ProblemCode::IdempotencyKeyInFlight,
                ProblemCode::IdempotencyKeyReused,
            ],
        );
    }
}

/// Marks an answer that was decided by an earlier request with the same key.
pub fn replayed(again: bool) -> AppendHeaders<Option<(HeaderName, &'static str)>> {
    AppendHeaders(again.then_some((HeaderName::from_static("idempotent-replayed"), "true")))
}
