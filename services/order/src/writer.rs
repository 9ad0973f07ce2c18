//! New orders and changes of orders as they are written: what is to be written at the same time shares a commit.

use std::sync::Arc;

use batcher::{Batch, Batcher, Limits};
use contracts::{event::Event, topics::ORDERS};
use outbox::Waker;
use service_runtime::{config::BatchConfig, database};
use sqlx::PgPool;

use crate::{
    error::OrderError,
    keep::{Keep, keep_all_in_tx},
    kill_points,
    saga::State,
    store::{self, New},
};

/// What may wait to be written. A new order that comes then is refused, a change waits to wait.
const WAITING_MAX: usize = 1_024;

/// The most lines of one batch, of all its orders.
const BATCH_LINES_MAX: usize = 400;

/// The one writer of orders in this process. (Letters are told to orders in the consumer's own transactions, and cancels in theirs.)
#[derive(Debug, Clone)]
pub struct Writer(Batcher<Together>);

/// What is to be written.
#[derive(Debug)]
enum Entry {
    New(Box<New>, Box<Event>),
    Change(Arc<Keep>),
}

impl Writer {
    /// A writer that wakes the relay after each commit. Must be called where tasks can be spawned.
    pub fn start(pool: PgPool, batches: BatchConfig, relay: Waker) -> Self {
        let requests_max = batches.batch_requests_max.into();
        let limits = Limits { queue_max: WAITING_MAX, weight_max: BATCH_LINES_MAX, requests_max };
        Self(Batcher::start("orders", Together { pool, relay }, limits))
    }

    /// Writes a new order with its letter. False when its id or its key has an order already.
    pub async fn insert(&self, new: New, letter: Event) -> Result<bool, OrderError> {
        Ok(self.0.submit(Entry::New(Box::new(new), Box::new(letter))).await?)
    }

    /// Writes a change. False when somebody else has changed the order since.
    pub async fn keep(&self, change: Arc<Keep>) -> Result<bool, OrderError> {
        Ok(self.0.queue_up(Entry::Change(change)).await?)
    }
}

#[derive(Debug)]
struct Together {
    pool: PgPool,
    relay: Waker,
}

impl Batch for Together {
    type Request = Entry;
    type Answer = bool;
    type Error = Arc<OrderError>;

    async fn write(&self, entries: &[Entry]) -> Result<Vec<bool>, Arc<OrderError>> {
        Ok(self.write_all(entries).await?)
    }

    fn is_of_one_request(error: &Arc<OrderError>) -> bool {
        match &**error {
            OrderError::Database(error) | OrderError::Outbox(outbox::Error::Database(error)) => {
                database::is_of_one_part(error)
            }
            _ => true,
        }
    }

    fn weight(entry: &Entry) -> usize {
        match entry {
            Entry::New(new, _) => new.order.lines.len(),
            Entry::Change(change) => change.kept.order.lines.len(),
        }
    }
}

impl Together {
    async fn write_all(&self, entries: &[Entry]) -> Result<Vec<bool>, OrderError> {
        let (mut new, mut letters, mut changes) = (Vec::new(), Vec::new(), Vec::new());
        for entry in entries {
            match entry {
                Entry::New(order, letter) => {
                    new.push(&**order);
                    letters.push(&**letter);
                }
                Entry::Change(change) => changes.push(&**change),
            }
        }
        let mut tx = self.pool.begin().await?;
        let mut inserted = Vec::new();
        if !new.is_empty() {
            inserted = store::insert_all_in_tx(&mut tx, &new).await?;
            let letters: Vec<&Event> =
                letters.into_iter().zip(&inserted).filter(|&(_, &written)| written).map(|(letter, _)| letter).collect();
            outbox::append_many_in_tx(&mut tx, ORDERS, &letters).await?;
        }
        let mut kept = Vec::new();
        if !changes.is_empty() {
            kept = keep_all_in_tx(&mut tx, &changes).await?;
        }
        let (mut inserted, mut kept) = (inserted.into_iter(), kept.into_iter());
        let written: Vec<bool> = entries
            .iter()
            .map(|entry| match entry {
                Entry::New(..) => inserted.next().unwrap_or_default(),
                Entry::Change(_) => kept.next().unwrap_or_default(),
            })
            .collect();
        let states = || entries.iter().zip(&written).filter(|&(_, &written)| written).map(|(entry, _)| entry.state());
        states().for_each(kill_points::before_commit);
        tx.commit().await?;
        states().for_each(kill_points::after_commit);
        self.relay.wake();
        Ok(written)
    }
}

impl Entry {
    fn state(&self) -> State {
        match self {
            Self::New(new, _) => new.order.state,
            Self::Change(change) => change.kept.order.state,
        }
    }
}
