//! What notification hears by letter. Each line of the list is a topic and what is done on it.

mod orders;
mod shipments;

use consumer::{ConsumerConfig, ConsumerService, Delivered, HandlerError};
use contracts::{
    event::Event,
    ids::{AccountId, OrderId},
    topics,
};
use service_runtime::config::KafkaConfig;
use sqlx::{PgConnection, PgPool};

use crate::{Deps, message::NewMessage, store};
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

/// What a letter tells its customer. `None` when it is no news.
type Tell = fn(&Event) -> Result<Option<NewMessage>, HandlerError>;

/// Writes down what a letter tells its customer.
async fn write(conn: &mut PgConnection, event: &Event, tell: Tell) -> Result<(), HandlerError> {
    match tell(event)? {
        Some(message) => Ok(store::insert_in_tx(conn, &[message]).await?),
        None => Ok(()),
    }
}

/// Writes down what letters tell their customers.
async fn write_all(conn: &mut PgConnection, letters: &[Delivered], tell: Tell) -> Result<(), HandlerError> {
    let told = letters.iter().map(|letter| tell(&letter.event));
    let messages: Vec<NewMessage> = told.filter_map(Result::transpose).collect::<Result<_, _>>()?;
    if messages.is_empty() {
        return Ok(());
    }
    Ok(store::insert_in_tx(conn, &messages).await?)
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
