//! What ends a leadership, or the attempt to get one.

use std::time::Duration;

use rdkafka::error::KafkaError;

/// How long the database has to answer. Less than the silence after which the server ends the leader's session.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);

/// Why the relay has to start anew. None of these is final.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Interruption {
    /// The session is gone, and the lock with it, or there was none to be had.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error("the database did not answer in {ANSWER_DEADLINE:?}")]
    NoAnswer,
    #[error("another relay has become the leader")]
    Deposed,
    /// The client could not be made, or could not deliver.
    #[error("the producer: {0}")]
    Producer(#[from] KafkaError),
    #[error("topic {topic} takes no letter: {error}; does it exist, and may this client write to it?")]
    Undeliverable { topic: String, error: KafkaError },
}

/// Waits for an answer of the database for so long and no longer. After [`Interruption::NoAnswer`] the connection is in
/// the middle of something and to be dropped.
pub(crate) async fn answered<T>(answer: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, Interruption> {
    match tokio::time::timeout(ANSWER_DEADLINE, answer).await {
        Ok(outcome) => Ok(outcome?),
        Err(_) => Err(Interruption::NoAnswer),
    }
}
