//! What the operator routes have in common: pages, refusals in one line, work that is not cut short, and a trace.
//!
//! Mechanism crates and services hand such routes to [`crate::ops::serve`], which serves them on the ops port. That is
//! never public, so they ask nobody who he is.

use std::{fmt::Display, str::FromStr};

use axum::{
    Json,
    extract::Request,
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use tracing::{Instrument, field::Empty, info_span};

use crate::telemetry;

/// How many items a page has when nobody says.
const PAGE_DEFAULT: u32 = 20;

/// The most items of a page.
pub const PAGE_MAX: u32 = 100;

/// What an operator route answers: JSON, or why not.
pub type Answer<T> = Result<Json<T>, Refusal>;

/// Why an operator is not served: a status, and one line that names the thing and its cure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    status: StatusCode,
    line: String,
}

impl Refusal {
    /// The question is wrong: 400.
    pub fn invalid(line: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, line: line.into() }
    }

    /// There is no such thing: 404. Never without a line, so that it is told apart from a route that is not there.
    pub fn not_found(line: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, line: line.into() }
    }

    /// The thing is not in a state for this: 409.
    pub fn conflict(line: impl Into<String>) -> Self {
        Self { status: StatusCode::CONFLICT, line: line.into() }
    }

    /// Something that is needed does not answer: 503.
    pub fn unavailable(line: impl Into<String>) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, line: line.into() }
    }
}

impl From<sqlx::Error> for Refusal {
    fn from(error: sqlx::Error) -> Self {
        Self::unavailable(format!("the database: {error}"))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        // an error of Postgres or Kafka may have several lines
        let line = self.line.split_whitespace().collect::<Vec<_>>().join(" ");
        (self.status, format!("{line}\n")).into_response()
    }
}

/// A part of a list: `{"items": […], "next_cursor": "…"|null}`.
#[derive(Debug, Serialize)]
pub struct Page<T> {
    items: Vec<T>,
    next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// The whole list.
    pub const fn whole(items: Vec<T>) -> Self {
        Self { items, next_cursor: None }
    }

    /// A page that was asked for with this limit; the cursor of its last item leads to the next. A full page may be the last
    /// one all the same: then the next is empty.
    pub fn of<C: Display>(items: Vec<T>, limit: u32, cursor: impl FnOnce(&T) -> C) -> Self {
        let is_full = u32::try_from(items.len()).is_ok_and(|items| items == limit);
        let next_cursor = items.last().filter(|_| is_full).map(|last| cursor(last).to_string());
        Self { items, next_cursor }
    }
}

/// Which page: `?limit=…&cursor=…`.
#[derive(Debug, Default, Deserialize)]
pub struct PageQuery {
    limit: Option<u32>,
    cursor: Option<String>,
}

impl PageQuery {
    /// The most items: 1 to [`PAGE_MAX`], else 20.
    pub fn limit(&self) -> Result<u32, Refusal> {
        match self.limit.unwrap_or(PAGE_DEFAULT) {
            limit @ 1..=PAGE_MAX => Ok(limit),
            other => Err(Refusal::invalid(format!("limit is {other}; it may be 1 to {PAGE_MAX}"))),
        }
    }

    /// Where the page begins; `None` at the beginning. A cursor has the one spelling in which [`Page::of`] writes it.
    pub fn cursor<C: FromStr + Display>(&self) -> Result<Option<C>, Refusal> {
        let read = self.cursor.as_deref().map(|cursor| {
            let read = cursor.parse::<C>().ok().filter(|read| read.to_string() == cursor);
            read.ok_or_else(|| Refusal::invalid(format!("`{cursor}` is no cursor that this list has given")))
        });
        read.transpose()
    }
}

/// Makes each request a part of the trace that it brings, or the beginning of one: what is logged for it and what is noted in the operator log
/// can be found by each other.
pub(crate) async fn traced(request: Request, next: Next) -> Response {
    let (method, path) = (request.method(), request.uri().path());
    let span = info_span!("operator", %method, path, otel.kind = "server", trace_id = Empty);
    telemetry::join(&span, request.headers().get("traceparent").and_then(|value| value.to_str().ok()));
    next.run(request).instrument(span).await
}

/// Runs work to its end even if whoever asked goes away: then axum drops the handler, and a query that is dropped in the
/// middle poisons the connection that it borrowed.
pub async fn uncut<T: Send + 'static>(work: impl Future<Output = Result<T, Refusal>> + Send + 'static) -> Answer<T> {
    match tokio::spawn(work.in_current_span()).await {
        Ok(outcome) => outcome.map(Json),
        Err(panic) => {
            Err(Refusal { status: StatusCode::INTERNAL_SERVER_ERROR, line: format!("a fault of ours: {panic}") })
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::{extract::Query, http::Uri};

    use super::*;

    #[test]
    fn a_full_page_leads_to_the_next_and_a_shorter_one_is_the_last() {
        assert_eq!(Page::of(vec![7, 9], 2, |id| *id).next_cursor.as_deref(), Some("9"));
        assert_eq!(Page::of(vec![7, 9], 3, |id| *id).next_cursor, None);
        assert_eq!(Page::<i64>::of(Vec::new(), 1, |id| *id).next_cursor, None);
    }

    #[test]
    fn a_page_that_is_too_long_or_begins_nowhere_is_refused() {
        let query = |limit, cursor: Option<&str>| PageQuery { limit, cursor: cursor.map(str::to_owned) };
        assert_eq!(query(None, None).limit(), Ok(20));
        assert_eq!(query(Some(100), None).limit(), Ok(100));
        for limit in [0, 101] {
            assert_eq!(query(Some(limit), None).limit().unwrap_err().status, StatusCode::BAD_REQUEST);
        }
        assert_eq!(query(None, Some("12")).cursor::<i64>(), Ok(Some(12)));
        for wrong in ["", "x", "+12", "012", " 12"] {
            assert_eq!(
                query(None, Some(wrong)).cursor::<i64>().unwrap_err().status,
                StatusCode::BAD_REQUEST,
                "{wrong}"
            );
        }
    }

    mod fuzz {
        use super::*;

        #[test]
        fn a_page_begins_only_where_a_list_has_said_that_one_does() {
            fuzzing::target!(
                "cursors",
                &["limit=20&cursor=12", "cursor=-9223372036854775808", "cursor=%2B1", "limit=101"],
                |bytes| {
                    let Ok(uri) = Uri::try_from([b"/?".as_slice(), bytes].concat()) else { return };
                    let Ok(Query(query)) = Query::<PageQuery>::try_from_uri(&uri) else { return };
                    assert!(query.limit().is_ok_and(|limit| (1..=PAGE_MAX).contains(&limit)) || query.limit().is_err());
                    match query.cursor::<i64>() {
                        Ok(None) => assert_eq!(query.cursor, None),
                        Ok(Some(id)) => assert_eq!(Page::of(vec![id], 1, |id| *id).next_cursor, query.cursor),
                        Err(refusal) => {
                            assert_eq!(refusal.status, StatusCode::BAD_REQUEST);
                            assert!(query.cursor.is_some());
                        }
                    }
                }
            );
        }
    }
}
