//! What payment hears by letter. Each line of the list is a topic and what is done on it.

mod reservations;

use std::sync::Arc;

use consumer::{ConsumerConfig, ConsumerService};
use contracts::topics;
use service_runtime::config::KafkaConfig;
use sqlx::PgPool;
use tokio::sync::Notify;

use crate::Deps;
pub use reservations::ChargeHeldOrders;

/// Reads letters until the end is requested, and wakes the worker after each that it has work from.
pub async fn run(kafka: KafkaConfig, deps: Deps, new_work: Arc<Notify>) {
    let config = ConsumerConfig::new(kafka.kafka_bootstrap_servers, kafka.kafka_namespace, "payment");
    handlers(config, deps.pool).after_commit(move || new_work.notify_one()).run(deps.shutdown.token()).await;
}

/// Each topic with its handler, to be run or replayed.
pub fn handlers(config: ConsumerConfig, pool: PgPool) -> ConsumerService {
    ConsumerService::new(config, pool).on(topics::RESERVATIONS, ChargeHeldOrders)
}
