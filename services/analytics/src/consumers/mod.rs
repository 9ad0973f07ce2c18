//! What analytics hears by letter. Each line of the list is a topic; all that is said on any of them is kept and counted
//! alike.

mod count;

use consumer::{ConsumerConfig, ConsumerService};
use contracts::topics;
use service_runtime::config::KafkaConfig;
use sqlx::PgPool;

use crate::Deps;
pub use count::CountLetters;

/// Reads letters until the end is requested.
pub async fn run(kafka: KafkaConfig, deps: Deps) {
    let config = ConsumerConfig::new(kafka.kafka_bootstrap_servers, kafka.kafka_namespace, "analytics");
    handlers(config, deps.pool).run(deps.shutdown.token()).await;
}

/// Each topic with its handler, to be run or replayed.
pub fn handlers(config: ConsumerConfig, pool: PgPool) -> ConsumerService {
    ConsumerService::new(config, pool)
        .on(topics::ORDERS, CountLetters)
        .on(topics::RESERVATIONS, CountLetters)
        .on(topics::PAYMENTS, CountLetters)
        .on(topics::SHIPMENTS, CountLetters)
}
