//! The header Idempotency-Key: what makes a request safe to repeat.

use std::sync::Arc;

use aide::{OperationInput, generate::GenContext, openapi::Operation};
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, request::Parts},
    response::AppendHeaders,
};
use contracts::{ids::AccountId, problem::ProblemCode};
use uuid::Uuid;

use serde_json::{Value, json};

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
        read(&parts.headers)
    }
}

fn read(headers: &HeaderMap) -> Result<IdempotencyKey, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let value = values.next().ok_or_else(|| {
        let detail = "send a header Idempotency-Key: a new one for each request, the same one to repeat it";
        Problem::new(ProblemCode::IdempotencyKeyMissing, detail)
    })?;
    let printable = value.as_bytes().iter().all(|byte| matches!(byte, b' '..=b'~'));
    match value.to_str() {
        Ok(key) if printable && (8..=100).contains(&key.len()) && values.next().is_none() => {
            Ok(IdempotencyKey(key.to_owned()))
        }
        _ => {
            let detail = "Idempotency-Key must be one header of 8 to 100 printable ASCII characters";
            Err(Problem::new(ProblemCode::IdempotencyKeyMalformed, detail))
        }
    }
}

/// What a key is. White space at its ends is none of it: that is not part of a header's value.
fn schema() -> Value {
    json!({"type": "string", "minLength": 8, "maxLength": 100, "pattern": "^[!-~]([ -~]*[!-~])?$"})
}

impl OperationInput for IdempotencyKey {
    fn operation_input(_: &mut GenContext, operation: &mut Operation) {
        let about = "A new one for each request, the same one to repeat it; 8 to 100 printable ASCII characters.";
        openapi::takes_header(operation, &IDEMPOTENCY_KEY, true, about, &schema());
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

#[cfg(test)]
mod fuzz {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_key_is_what_it_is_described_as_and_is_taken_as_it_is_and_names_nothing_else() {
        let described = jsonschema::options().build(&schema()).expect("a right schema");
        let caller = AccountId::from(Uuid::nil());
        let examples =
            ["my-first-order", "1234567", "a key of four words", "12345678\n12345678", "schl\u{fc}ssel", " 1234567"];
        fuzzing::target!("idempotency_keys", &examples, |bytes| {
            let mut headers = HeaderMap::new();
            for line in bytes.split(|&byte| byte == b'\n') {
                // a server hands a value over without the white space around it
                let Ok(value) = HeaderValue::from_bytes(line.trim_ascii()) else { return };
                headers.append(IDEMPOTENCY_KEY, value);
            }
            let values: Vec<&HeaderValue> = headers.get_all(IDEMPOTENCY_KEY).iter().collect();
            let text = if let [one] = values.as_slice() { one.to_str().ok() } else { None };
            match read(&headers) {
                Ok(key) => {
                    assert_eq!(Some(key.0.as_str()), text);
                    assert!(described.is_valid(&json!(key.0)));
                    let scoped = key.scoped(caller, "POST /v1/products/mug/restock");
                    assert_eq!(scoped, key.scoped(caller, "POST /v1/products/mug/restock"));
                    assert_ne!(scoped, key.scoped(AccountId::from(Uuid::max()), "POST /v1/products/mug/restock"));
                    assert_ne!(scoped, key.scoped(caller, "POST /v1/products/tee/restock"));
                }
                Err(problem) => {
                    assert_eq!(problem.code(), ProblemCode::IdempotencyKeyMalformed);
                    assert!(text.is_none_or(|text| !described.is_valid(&json!(text))), "{text:?} is as described");
                }
            }
        });
    }
}
