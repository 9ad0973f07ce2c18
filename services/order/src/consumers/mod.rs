//! What order hears by letter. Each line of the list is a consumer group and its topic.

mod shipments;

use consumer::{ConsumerConfig, ConsumerService};
use contracts::topics;
use service_runtime::config::KafkaConfig;

use crate::Deps;
use shipments::TrackShipment;

/// Runs until the end is requested.
pub async fn run(kafka: KafkaConfig, deps: Deps) {
    let config = ConsumerConfig::new(kafka.kafka_bootstrap_servers, kafka.kafka_namespace, "order");
    let token = deps.shutdown.token();
    ConsumerService::new(config, deps.pool.clone()).on(topics::SHIPMENTS, TrackShipment::new(deps)).run(token).await;
}
