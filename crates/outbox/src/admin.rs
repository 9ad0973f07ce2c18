//! What operators may ask the outbox of a process: `postbox lag` is made of it.
//!
//! `GET /lag/outbox` tells how many letters wait to be published, and how old the oldest is. It reads what the leader has
//! written down, from whichever replica is asked; a letter that was published a moment ago (0.1 s) may still be counted.

use axum::{Router, extract::State, routing::get};
use serde::Serialize;
use service_runtime::operator::{Answer, uncut};
use sqlx::PgPool;

use crate::{letter, progress::Progress};

/// What waits in an outbox.
#[derive(Debug, Serialize)]
struct OutboxLag {
    /// Letters that are not published, counted up to 100,000.
    lag_messages: i64,
    /// Age of the oldest, by the database's clock; 0 when there is none.
    lag_seconds: f64,
}

/// The route, for [`service_runtime::ops::serve`]. The pool is that of the service.
pub fn routes(pool: PgPool) -> Router {
    Router::new().route("/lag/outbox", get(of_outbox)).with_state(pool)
}

async fn of_outbox(State(pool): State<PgPool>) -> Answer<OutboxLag> {
    uncut(async move {
        let mut connection = pool.acquire().await?;
        let progress = Progress::read(&mut connection).await?;
        let backlog = letter::backlog(&mut connection, &progress).await?;
        Ok(OutboxLag { lag_messages: backlog.letters, lag_seconds: backlog.oldest_age_seconds })
    })
    .await
}
