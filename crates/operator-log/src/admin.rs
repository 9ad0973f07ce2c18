//! What an operator may ask: `postbox operators log` is made of it.
//!
//! `GET /operator-log?since&operator&limit&cursor` lists the entries of this service, newest first: `since` a time (RFC 3339), of one
//! `operator` alone. An entry is there from the commit of its change on.

use axum::{
    Router,
    extract::{Query, State},
    routing::get,
};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service_runtime::operator::{Answer, Page, PageQuery, Refusal, uncut};
use sqlx::{FromRow, PgPool};

/// An action as it is told.
#[derive(Debug, Serialize, FromRow)]
struct Entry {
    /// Of its row, in this service's database.
    id: i64,
    /// RFC 3339 in UTC with six digits of the second, by the database's clock.
    at: String,
    operator: String,
    action: String,
    object: String,
    detail: Value,
    trace_id: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Which {
    since: Option<String>,
    operator: Option<String>,
}

impl Which {
    fn since(&self) -> Result<Option<Timestamp>, Refusal> {
        let read = self.since.as_deref().map(|text| {
            text.parse().map_err(|_| Refusal::invalid(format!("since: `{text}` is no time like 2026-11-21T09:00:00Z")))
        });
        read.transpose()
    }
}

/// The route, for [`service_runtime::ops::serve`]. The pool is that of the service.
pub fn routes(pool: PgPool) -> Router {
    Router::new().route("/operator-log", get(list)).with_state(pool)
}

/// The statement that gives a page, `$1` its first time, `$2` the id of the entry before it, `$3` its length. Both bounds are always there, so
/// that the entries are read along an index, from the first of the page to its last.
macro_rules! page_of {
    ($whose:literal) => {
        concat!(
            r#"SELECT id, to_char(done_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at, operator, action, object,
                   detail, trace_id
               FROM operator_log
               WHERE done_at >= coalesce($1, '-infinity'::timestamptz)
                   AND (done_at, id) < (coalesce((SELECT done_at FROM operator_log WHERE id = $2), 'infinity'::timestamptz),
                                        coalesce($2, 9223372036854775807))"#,
            $whose,
            " ORDER BY done_at DESC, id DESC LIMIT $3"
        )
    };
}

async fn list(
    State(pool): State<PgPool>,
    Query(which): Query<Which>,
    Query(page): Query<PageQuery>,
) -> Answer<Page<Entry>> {
    let (since, limit, before) = (which.since()?, page.limit()?, page.cursor::<i64>()?);
    uncut(async move {
        let query = match &which.operator {
            None => sqlx::query_as(page_of!("")),
            Some(_) => sqlx::query_as(page_of!(" AND operator = $4")),
        };
        let query = query.bind(since.map(ToSqlx::to_sqlx)).bind(before).bind(i64::from(limit));
        let query = match which.operator {
            None => query,
            Some(operator) => query.bind(operator),
        };
        let entries: Vec<Entry> = query.fetch_all(&pool).await?;
        Ok(Page::of(entries, limit, |entry| entry.id))
    })
    .await
}
