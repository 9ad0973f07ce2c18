//! What went wrong, as the client is told it: `application/problem+json` (RFC 9457).

use aide::OperationOutput;
use axum::{
    http::{
        HeaderValue, StatusCode,
        header::{ACCEPT_ENCODING, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};
use contracts::problem::{ProblemCode, v1};
use schemars::JsonSchema;
use serde::Serialize;
use service_runtime::telemetry;
use tonic::Status;
use tracing::{error, warn};

use crate::fields::FieldError;

/// When to come back after an answer that may be better the next time, in seconds.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// One problem. Its bytes depend on nothing but its fields, so that a stored answer is told again word for word.
#[derive(Debug, Clone)]
pub struct Problem {
    code: ProblemCode,
    detail: String,
    errors: Vec<FieldError>,
    order_id: Option<String>,
    /// Of the request that met the problem first; empty when that is the present one.
    trace_id: String,
}

impl Problem {
    /// A problem with this code. `detail` is one sentence for the person who reads it.
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), errors: Vec::new(), order_id: None, trace_id: String::new() }
    }

    /// Fields, or parameters of the query, are wrong.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [FieldError { pointer, detail }] if pointer.is_empty() => format!("the body {detail}"),
            [FieldError { pointer, detail }] => format!("{pointer} {detail}"),
            several => format!("{} fields are wrong, see errors", several.len()),
        };
        Self { errors, ..Self::new(ProblemCode::Invalid, detail) }
    }

    /// There is no such thing, or it is someone else's.
    pub fn not_found() -> Self {
        Self::new(ProblemCode::NotFound, "there is nothing here for you")
    }

    /// A fault of ours. The caller logs what it is.
    pub fn internal() -> Self {
        Self::new(ProblemCode::Internal, explanation(ProblemCode::Internal))
    }

    /// Which problem it is.
    pub const fn code(&self) -> ProblemCode {
        self.code
    }
}

impl From<v1::Problem> for Problem {
    /// A problem as the service that met it has told and stored it.
    fn from(told: v1::Problem) -> Self {
        let v1::Problem { code: word, detail, trace_id, order_id } = told;
        let Some(code) = ProblemCode::from_word(&word) else {
            error!(
                code = word,
                "a service told a problem that this gateway does not know; is it older than the service?"
            );
            return Self::internal();
        };
        let order_id = Some(order_id).filter(|id| !id.is_empty());
        Self { code, detail, errors: Vec::new(), order_id, trace_id }
    }
}

impl From<Status> for Problem {
    fn from(status: Status) -> Self {
        let code = rpc::problem_of(&status);
        match code {
            ProblemCode::Internal => error!(%status, "a call failed"),
            ProblemCode::Unavailable | ProblemCode::DeadlineExceeded => warn!(%status, "a call was not answered"),
            _ => {}
        }
        // a status without details was made by the machinery, not by one of our services: its words are for the log
        let is_ours = !status.details().is_empty() && code != ProblemCode::Internal;
        Self::new(code, if is_ours { status.message() } else { explanation(code) })
    }
}

fn explanation(code: ProblemCode) -> &'static str {
    match code {
        ProblemCode::Unavailable => "a service that this needs does not answer; trying again is safe",
        ProblemCode::DeadlineExceeded => "a service that this needs did not answer in time; trying again is safe",
        ProblemCode::Internal => "a fault of ours; the log tells more under this trace_id",
        other => other.title(),
    }
}

/// It is told of every operation by what may end in it ([`crate::openapi::may_end_in`]).
impl OperationOutput for Problem {
    type Inner = Self;
}

/// What went wrong (RFC 9457), with our extensions.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub struct Document<'a> {
    /// A page that says what to do.
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    /// What clients go by.
    #[schemars(extend("enum" = ProblemCode::ALL.iter().map(|code| code.word()).collect::<Vec<_>>()))]
    code: &'static str,
    /// Under which the log tells more.
    trace_id: &'a str,
    /// The order that was kept as REJECTED.
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<&'a str>,
    /// Each field, or parameter, that is wrong.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let present = telemetry::trace_id();
        let document = Document {
            r#type: format!("/problems/{}", self.code.word()),
            title: self.code.title(),
            status: self.code.http_status(),
            detail: &self.detail,
            code: self.code.word(),
            trace_id: if self.trace_id.is_empty() { &present } else { &self.trace_id },
            order_id: self.order_id.as_deref(),
            errors: &self.errors,
        };
        let body = serde_json::to_vec(&document).expect("texts and numbers are always JSON");
        let status = StatusCode::from_u16(document.status).expect("every code names a status");
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            // what a body may be packed with: nothing (RFC 9110, section 15.5.16)
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                headers.insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
            }
            _ => {}
        }
        response
    }
}
