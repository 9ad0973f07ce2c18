//! What order hears by letter: all of it is facts about an order, told to the same table as the answers on the telephone.

mod payments;
mod reservations;
mod shipments;

use consumer::{ConsumerConfig, ConsumerService, HandlerError};
use contracts::{event::Event, ids::OrderId, topics};
use service_runtime::{clock::Clock, config::KafkaConfig};
use sqlx::{PgConnection, PgPool};

use crate::{
    Deps,
    error::OrderError,
    hear::hear,
    keep::keep_in_tx,
    order::{Change, Heard},
    store::{self, Attempt, Kept},
};
pub use payments::HearPayment;
pub use reservations::HearReservation;
pub use shipments::HearShipment;

use std::time::Duration;

/// One group for all three topics: one Kafka consumer, and one position to look at.
const GROUP: &str = "order.saga";

/// Runs until the end is requested.
pub async fn run(kafka: KafkaConfig, deps: Deps) {
    let config = ConsumerConfig::new(kafka.kafka_bootstrap_servers, kafka.kafka_namespace, "order");
    let token = deps.shutdown.token();
    let wake = {
        let (relay, recovery) = (deps.relay.clone(), deps.recovery.clone());
        move || {
            relay.wake();
            recovery.notify_one();
        }
    };
    handlers(config, deps.pool, deps.clock).after_commit(wake).run(token).await;
}

/// Each topic with its handler, to be run or replayed.
pub fn handlers(config: ConsumerConfig, pool: PgPool, clock: Clock) -> ConsumerService {
    ConsumerService::new(config, pool)
        .on(topics::RESERVATIONS, HearReservation::new(clock))
        .on(topics::PAYMENTS, HearPayment::new(clock))
        .on(topics::SHIPMENTS, HearShipment::new(clock))
}

/// The order that a letter is about, locked: what the letter tells is told to the order as it is now. `order_id` is what the
/// payload says; it must be the subject, else the letter may be on the wrong partition.
async fn lock(conn: &mut PgConnection, event: &Event, order_id: &str) -> Result<Kept, HandlerError> {
    if order_id != event.subject {
        return Err(HandlerError::reject(format!("the letter of {} is about {order_id}", event.subject)));
    }
    let id: OrderId = order_id.parse().map_err(|_| HandlerError::reject("the subject is no order's id"))?;
    Ok(store::lock_in_tx(conn, id).await?.ok_or(OrderError::NotFound(id))?)
}

/// Tells the order a fact. A letter that comes again, or late, changes nothing.
async fn tell(conn: &mut PgConnection, clock: Clock, kept: &Kept, heard: Heard) -> Result<(), HandlerError> {
    match hear(&kept.order, &heard) {
        Change::Advanced(order) => {
            // what is to be done next by telephone, if anything, is recovery's; it is woken after the commit
            let attempt = if order.action().is_some() { Attempt::After(Duration::ZERO) } else { Attempt::AsBefore };
            let kept = keep_in_tx(conn, clock, kept, &order, heard.detail.as_deref(), attempt).await?;
            kept.map(drop).ok_or_else(|| HandlerError::reject("the order changed although its row is locked"))
        }
        Change::AlreadyApplied => Ok(()),
        Change::Contradiction => {
            let (state, fact) = (kept.order.state.name(), heard.fact.name());
            Err(HandlerError::reject(format!("{fact} cannot be told to an order that is {state}")))
        }
    }
}

/// What the database says is judged as for every handler: an outage is tried again for ever, data that break a rule are the
/// letter's fault. Anything else needs somebody to look.
impl From<OrderError> for HandlerError {
    fn from(error: OrderError) -> Self {
        match error {
            OrderError::Database(error) | OrderError::Outbox(outbox::Error::Database(error)) => error.into(),
            other => Self::Reject(other.into()),
        }
    }
}
