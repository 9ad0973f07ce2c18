//! What order hears by letter: all of it is facts about an order, told to the same table as the answers on the telephone.

mod payments;
mod reservations;
mod shipments;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use consumer::{ConsumerConfig, ConsumerService, HandlerError};
use contracts::{event::Event, ids::OrderId, topics};
use service_runtime::{clock::Clock, config::KafkaConfig};
use sqlx::{PgConnection, PgPool};
use tracing::Span;

use crate::{
    Deps,
    error::OrderError,
    hear::hear,
    keep::{Keep, keep_all_in_tx},
    order::{Change, Heard},
    store::{self, Attempt, Kept},
};
pub use payments::HearPayment;
pub use reservations::HearReservation;
pub use shipments::HearShipment;

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

/// The order that a letter is about. `order_id` is what the payload says; it must be the subject, else the letter may be on the
/// wrong partition.
fn order_of(event: &Event, order_id: &str) -> Result<OrderId, HandlerError> {
    if order_id != event.subject {
        return Err(HandlerError::reject(format!("the letter of {} is about {order_id}", event.subject)));
    }
    order_id.parse().map_err(|_| HandlerError::reject("the subject is no order's id"))
}

/// What a letter says about an order.
struct Told<T> {
    order: OrderId,
    what: T,
    /// The letter's part of its trace.
    span: Span,
}

/// Tells the orders what letters say, one after another. They are locked: what is told is told to the order as it is now.
async fn tell_all<T>(
    conn: &mut PgConnection,
    letters: Vec<Told<T>>,
    tell: impl Fn(&Kept, T) -> Result<Option<Keep>, HandlerError>,
) -> Result<(), HandlerError> {
    let ids: BTreeSet<OrderId> = letters.iter().map(|letter| letter.order).collect();
    let mut orders = store::lock_all_in_tx(conn, &ids).await?;
    let mut changes: BTreeMap<OrderId, (Keep, Span)> = BTreeMap::new();
    for Told { order, what, span } in letters {
        let kept = orders.get_mut(&order).ok_or(OrderError::NotFound(order))?;
        if let Some(change) = span.in_scope(|| tell(kept, what))? {
            *kept = change.kept.clone();
            let change = match changes.remove(&order) {
                Some((before, _)) => before.and(change),
                None => change,
            };
            changes.insert(order, (change, span));
        }
    }
    if changes.is_empty() {
        return Ok(());
    }
    let written = keep_all_in_tx(conn, &changes.values().map(|(change, _)| change).collect::<Vec<_>>()).await?;
    if written.contains(&false) {
        return Err(HandlerError::reject("an order changed although its row is locked"));
    }
    for (change, span) in changes.values() {
        span.in_scope(|| change.log());
    }
    Ok(())
}

/// What a fact changes in the order. A letter that comes again, or late, changes nothing.
fn tell(clock: Clock, kept: &Kept, heard: &Heard) -> Result<Option<Keep>, HandlerError> {
    match hear(&kept.order, heard) {
        Change::Advanced(order) => {
            // what is to be done next by telephone, if anything, is recovery's; it is woken after the commit
            let attempt = if order.action().is_some() { Attempt::After(Duration::ZERO) } else { Attempt::AsBefore };
            Ok(Some(Keep::new(clock, kept, &order, heard.detail.as_deref(), attempt)))
        }
        Change::AlreadyApplied => Ok(None),
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
