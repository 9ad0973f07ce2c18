//! What analytics hears by letter. Each line of the list is a topic; all that is said on any of them is kept and counted
//! alike.

mod count;

use consumer::{ConsumerConfig, ConsumerService};
use contracts::topics;
use service_runtime::config::KafkaConfig;

use crate::Deps;
pub use count::CountLetters;

/// Reads letters until the end is requested.
pub async fn run(kafka: KafkaConfig, deps: Deps) {
    let config = ConsumerConfig::new(kafka.kafka_bootstrap_servers, kafka.kafka_namespace, "analytics");
    ConsumerService::new(config, deps.pool)
        .on(topics::ORDERS, CountLetters)
        .on(topics::RESERVATIONS, CountLetters)
        .on(topics::PAYMENTS, CountLetters)
        .on(topics::SHIPMENTS, CountLetters)
        .run(deps.shutdown.token())
        .await;
}
