//! What shipping hears by letter. Each line of the list is a topic and what is done on it.

mod accounts;
mod orders;

use consumer::{ConsumerConfig, ConsumerService};
use contracts::topics;
use service_runtime::config::KafkaConfig;
use sqlx::PgPool;

use crate::Deps;
pub use accounts::HearOfAccount;
pub use orders::NoteCompleted;

/// One group for both topics, so that they share one Kafka consumer.
const GROUP: &str = "shipping.prepare-parcels";

/// Reads letters until the end is requested.
pub async fn run(kafka: KafkaConfig, deps: Deps) {
    let config = ConsumerConfig::new(kafka.kafka_bootstrap_servers, kafka.kafka_namespace, "shipping");
    handlers(config, deps.pool)
        // what the handlers write are questions; letters come with the answers
        .after_commit(move || deps.new_questions.notify_one())
        .run(deps.shutdown.token())
        .await;
}

/// Each topic with its handler, to be run or replayed.
pub fn handlers(config: ConsumerConfig, pool: PgPool) -> ConsumerService {
    ConsumerService::new(config, pool).on(topics::ORDERS, NoteCompleted).on(topics::ACCOUNTS, HearOfAccount)
}
