//! New orders and changes of orders as they are written: what is to be written at the same time shares a commit.
//!
//! The two have a batch each, so that neither waits for the other's statements. They never meet: a change is of an order that was
//! committed before.

use std::sync::Arc;

use batcher::{Batch, Batcher, Limits};
use contracts::event::Event;
use outbox::Waker;
use service_runtime::{KeptConnection, config::BatchConfig, database};
use sqlx::{Connection, PgPool};

use crate::{
    error::OrderError,
    keep::{Keep, keep_all_in_tx},
    kill_points,
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
    pub fn start(pool: &PgPool, batches: BatchConfig, relay: &Waker) -> Self {
        let requests_max = batches.batch_requests_max.into();
        let limits = Limits { queue_max: WAITING_MAX, weight_max: BATCH_LINES_MAX, requests_max };
        let desk = || Desk { connection: KeptConnection::of(pool.clone()), relay: relay.clone() };
        Self {
            new: Batcher::start("orders.new", NewOrders(desk()), limits),
            changes: Batcher::start("orders.changes", Changes(desk()), limits),
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

/// Where one of the two is written.
#[derive(Debug)]
struct Desk {
    connection: KeptConnection,
    relay: Waker,
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
    let (new, letters): (Vec<&New>, Vec<&Event>) = requests.iter().map(|(new, letter)| (new, letter)).unzip();
    let mut connection = desk.connection.take().await?;
    for new in &new {
        kill_points::before_commit(new.order.state);
    }
    let inserted = store::insert_all(&mut connection, &new, &letters).await?;
    those(&new, &inserted).for_each(|new| kill_points::after_commit(new.order.state));
    desk.connection.keep(connection);
    desk.relay.wake();
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
    let changes: Vec<&Keep> = changes.iter().map(|change| &**change).collect();
    let before_commit = || changes.iter().for_each(|change| kill_points::before_commit(change.kept.order.state));
    let mut connection = desk.connection.take().await?;
    let kept = if changes.iter().all(|change| change.is_one_statement()) {
        before_commit();
        keep_all_in_tx(&mut connection, &changes).await?
    } else {
        let mut tx = connection.begin().await?;
        let kept = keep_all_in_tx(&mut tx, &changes).await?;
        before_commit();
        tx.commit().await?;
        kept
    };
    those(&changes, &kept).for_each(|change| kill_points::after_commit(change.kept.order.state));
    desk.connection.keep(connection);
    desk.relay.wake();
    Ok(kept)
}

/// Those that were written.
fn those<'a, T>(requests: &'a [&'a T], written: &'a [bool]) -> impl Iterator<Item = &'a T> {
    requests.iter().zip(written).filter_map(|(request, &written)| written.then_some(*request))
}

fn is_of_one_order(error: &OrderError) -> bool {
    match error {
        OrderError::Database(error) | OrderError::Outbox(outbox::Error::Database(error)) => {
            database::is_of_one_part(error)
        }
        _ => true,
    }
}
