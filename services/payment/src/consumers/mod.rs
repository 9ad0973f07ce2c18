//! What payment hears by letter. Each line of the list is a topic and what is done on it.

mod reservations;

use consumer::{ConsumerConfig, ConsumerService};
use contracts::topics;
use service_runtime::config::KafkaConfig;

use crate::{Deps, worker::Bell};
use reservations::ChargeHeldOrders;

/// Reads letters until the end is requested, and rings for the worker after each that it has work from.
pub async fn run(kafka: KafkaConfig, deps: Deps, bell: Bell) {
    let config = ConsumerConfig::new(kafka.kafka_bootstrap_servers, kafka.kafka_namespace, "payment");
    ConsumerService::new(config, deps.pool)
        .on(topics::RESERVATIONS, ChargeHeldOrders)
        .after_commit(move || bell.ring())
        .run(deps.shutdown.token())
        .await;
}
