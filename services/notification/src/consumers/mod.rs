//! What notification hears by letter. Each line of the list is a topic and what is done on it.

mod orders;
mod shipments;

use consumer::{ConsumerConfig, ConsumerService, HandlerError};
use contracts::{
    event::Event,
    ids::{AccountId, OrderId},
    topics,
};
use service_runtime::config::KafkaConfig;
use sqlx::PgPool;

use crate::Deps;
use orders::TellOfOrder;
use shipments::TellOfShipment;

/// One group for both topics: one Kafka consumer.
const GROUP: &str = "notification.write-messages";

/// Reads letters until the end is requested.
pub async fn run(kafka: KafkaConfig, deps: Deps) {
    let config = ConsumerConfig::new(kafka.kafka_bootstrap_servers, kafka.kafka_namespace, "notification");
    handlers(config, deps.pool).after_commit(move || deps.written.notify_one()).run(deps.shutdown.token()).await;
}

/// Each topic with its handler, to be run or replayed.
pub fn handlers(config: ConsumerConfig, pool: PgPool) -> ConsumerService {
    ConsumerService::new(config, pool).on(topics::ORDERS, TellOfOrder).on(topics::SHIPMENTS, TellOfShipment)
}

/// The order that the letter is about: its subject. What the letter carries must be of that order, else something is wrong
/// with it.
fn order_of(event: &Event, order_id: &str) -> Result<OrderId, HandlerError> {
    if order_id != event.subject {
        return Err(HandlerError::reject(format!("the letter of {} has order {order_id}", event.subject)));
    }
    order_id.parse().map_err(|error| HandlerError::reject(format!("order_id of the letter: {error}")))
}

fn customer(customer_id: &str) -> Result<AccountId, HandlerError> {
    customer_id.parse().map_err(|error| HandlerError::reject(format!("customer_id of the letter: {error}")))
}
