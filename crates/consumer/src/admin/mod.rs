//! What operators may ask the consumers of a process, and do: `postbox dlq` and `postbox lag` are made of it.
//!
//! | route | |
//! |---|---|
//! | `GET /dead-letters?limit&cursor` | the dead letters of all groups, oldest first |
//! | `GET /dead-letters/{id}` | one letter, whole; also while it is being retried after a redrive |
//! | `POST /dead-letters/{id}/redrive` | [`crate::redrive`] |
//! | `POST /dead-letters/{id}/discard` | [`crate::discard`] |
//! | `GET /lag/consumers` | how far each group is behind on each of its topics, and what it has put aside |
//!
//! Refusals are one line of text: 404 no such letter, 409 it is not dead, 503 the database or Kafka does not answer.

mod dead_letters;
mod lag;

use axum::{
    Router,
    routing::{get, post},
};
use contracts::topics::Topic;
use service_runtime::config::KafkaConfig;
use sqlx::PgPool;

/// The routes, for [`service_runtime::ops::serve`]. The pool is that of the service; the group's rows are all that they
/// read and write.
pub fn routes(pool: PgPool, kafka: &KafkaConfig) -> Router {
    routes_with_streams(pool, kafka, &[])
}

/// A group of the service that is no handler of this crate: it goes from topic to topic in Kafka's transactions, and its
/// position is the one that it commits to Kafka. Of its dead letters there are copies on the dead-letter topic only.
#[derive(Debug, Clone, Copy)]
pub struct Stream {
    /// Its name, without the namespace.
    pub group: &'static str,
    /// What it reads.
    pub topic: Topic,
}

/// [`routes`], with the lag of these as well.
pub fn routes_with_streams(pool: PgPool, kafka: &KafkaConfig, streams: &[Stream]) -> Router {
    let letters = Router::new()
        .route("/dead-letters", get(dead_letters::list))
        .route("/dead-letters/{id}", get(dead_letters::show))
        .route("/dead-letters/{id}/redrive", post(dead_letters::redrive))
        .route("/dead-letters/{id}/discard", post(dead_letters::discard))
        .with_state(pool.clone());
    let lag =
        Router::new().route("/lag/consumers", get(lag::of_consumers)).with_state(lag::Lag::new(pool, kafka, streams));
    letters.merge(lag)
}
