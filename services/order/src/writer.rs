//! New orders and changes of orders as they are written: what is to be written at the same time shares a commit.
//!
//! The two have a batch each, so that neither waits for the other's statements. They never meet: a change is of an order that was
//! committed before.

use std::sync::Arc;

use batcher::{Batch, Batcher, Limits};
use contracts::{event::Event, topics::ORDERS};
use outbox::Waker;
use service_runtime::{config::BatchConfig, database};
use sqlx::{PgPool, Postgres, Transaction};

use crate::{
    error::OrderError,
    keep::{Keep, keep_all_in_tx},
    kill_points,
    saga::State,
    store::{self, New},
};

/// What may wait to be written, of either kind. A new order that comes then is refused, a change waits to wait.
const WAITING_MAX: usize = 1_024;

/// The most lines of one batch, of all its orders.
const BATCH_LINES_MAX: usize = 400;

/// What writes orders in this process. (Letters are told to orders in the consumer's own transactions, and cancels in theirs.)
#[derive(Debug, Clone)]
pub struct Writer {
    new: Batcher<NewOrders>,
    changes: Batcher<Changes>,
}

impl Writer {
    /// A writer that wakes the relay after each commit. Must be called where tasks can be spawned.
    pub fn start(pool: PgPool, batches: BatchConfig, relay: Waker) -> Self {
        let requests_max = batches.batch_requests_max.into();
        let limits = Limits { queue_max: WAITING_MAX, weight_max: BATCH_LINES_MAX, requests_max };
        let desk = Desk { pool, relay };
        Self {
            new: Batcher::start("orders.new", NewOrders(desk.clone()), limits),
            changes: Batcher::start("orders.changes", Changes(desk), limits),
        }
    }

    /// Writes a new order with its letter. False when its id or its key has an order already.
    pub async fn insert(&self, new: New, letter: Event) -> Result<bool, OrderError> {
        Ok(self.new.submit((new, letter)).await?)
    }

    /// Writes a change. False when somebody else has changed the order since.
    pub async fn keep(&self, change: Arc<Keep>) -> Result<bool, OrderError> {
        Ok(self.changes.queue_up(change).await?)
    }
}

/// Where both are written.
#[derive(Debug, Clone)]
struct Desk {
    pool: PgPool,
    relay: Waker,
}

impl Desk {
    /// Commits the orders that are in these states now.
    async fn commit(&self, tx: Transaction<'_, Postgres>, states: &[State]) -> Result<(), OrderError> {
        states.iter().copied().for_each(kill_points::before_commit);
        tx.commit().await?;
        states.iter().copied().for_each(kill_points::after_commit);
        self.relay.wake();
        Ok(())
    }
}

struct NewOrders(Desk);

impl Batch for NewOrders {
    type Request = (New, Event);
    type Answer = bool;
    type Error = Arc<OrderError>;

    async fn write(&self, requests: &[(New, Event)]) -> Result<Vec<bool>, Arc<OrderError>> {
        Ok(insert_all(&self.0, requests).await?)
    }

    fn is_of_one_request(error: &Arc<OrderError>) -> bool {
        is_of_one_order(error)
    }

    fn weight((new, _): &(New, Event)) -> usize {
        new.order.lines.len()
    }
}

async fn insert_all(desk: &Desk, requests: &[(New, Event)]) -> Result<Vec<bool>, OrderError> {
    let mut tx = desk.pool.begin().await?;
    let new: Vec<&New> = requests.iter().map(|(new, _)| new).collect();
    let inserted = store::insert_all_in_tx(&mut tx, &new).await?;
    let written = || requests.iter().zip(&inserted).filter(|&(_, &inserted)| inserted).map(|(request, _)| request);
    let letters: Vec<&Event> = written().map(|(_, letter)| letter).collect();
    outbox::append_many_in_tx(&mut tx, ORDERS, &letters).await?;
    let states: Vec<State> = written().map(|(new, _)| new.order.state).collect();
    desk.commit(tx, &states).await?;
    Ok(inserted)
}

struct Changes(Desk);

impl Batch for Changes {
    type Request = Arc<Keep>;
    type Answer = bool;
    type Error = Arc<OrderError>;

    async fn write(&self, changes: &[Arc<Keep>]) -> Result<Vec<bool>, Arc<OrderError>> {
        Ok(keep_all(&self.0, changes).await?)
    }

    fn is_of_one_request(error: &Arc<OrderError>) -> bool {
        is_of_one_order(error)
    }

    fn weight(change: &Arc<Keep>) -> usize {
        change.kept.order.lines.len()
    }
}

async fn keep_all(desk: &Desk, changes: &[Arc<Keep>]) -> Result<Vec<bool>, OrderError> {
    let mut tx = desk.pool.begin().await?;
    let changes: Vec<&Keep> = changes.iter().map(|change| &**change).collect();
    let kept = keep_all_in_tx(&mut tx, &changes).await?;
    let written = changes.iter().zip(&kept).filter(|&(_, &kept)| kept);
    let states: Vec<State> = written.map(|(change, _)| change.kept.order.state).collect();
    desk.commit(tx, &states).await?;
    Ok(kept)
}

fn is_of_one_order(error: &OrderError) -> bool {
    match error {
        OrderError::Database(error) | OrderError::Outbox(outbox::Error::Database(error)) => {
            database::is_of_one_part(error)
        }
        _ => true,
    }
}
