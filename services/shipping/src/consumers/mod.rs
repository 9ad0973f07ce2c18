//! What shipping hears by letter. Each line of the list is a topic and what is done on it.

mod orders;

use consumer::{ConsumerConfig, ConsumerService};
use contracts::topics;
use service_runtime::config::KafkaConfig;

use crate::Deps;
use orders::CreateShipment;

/// Reads letters until the end is requested.
pub async fn run(kafka: KafkaConfig, deps: Deps) {
    let config = ConsumerConfig::new(kafka.kafka_bootstrap_servers, kafka.kafka_namespace, "shipping");
    ConsumerService::new(config, deps.pool)
        .on(topics::ORDERS, CreateShipment { dispatch_after: deps.dispatch_after })
        .run(deps.shutdown.token())
        .await;
}
