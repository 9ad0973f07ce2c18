//! Payments as they are written: what is to be written at the same time shares a commit.

use std::sync::Arc;

use batcher::{Batch, Batcher, Limits};
use service_runtime::{KeptConnection, config::BatchConfig, database};
use sqlx::{Connection, PgPool};

use crate::{
    error::PaymentError,
    kill_points,
    payment::Payment,
    store::{self, Change, First},
};

/// What may wait to be written; what comes then waits to wait.
const WAITING_MAX: usize = 1_024;

/// The most of one commit.
const BATCH_MAX: usize = 256;

/// The one writer of payments in this process.
#[derive(Debug, Clone)]
pub struct Books(Batcher<Together>);

/// What is to be written.
#[derive(Debug)]
enum Entry {
    First(First),
    Change(Change),
}

impl Books {
    /// Must be called where tasks can be spawned.
    pub fn open(pool: PgPool, batches: BatchConfig) -> Self {
        let requests_max = batches.batch_requests_max.into();
        let limits = Limits { queue_max: WAITING_MAX, weight_max: BATCH_MAX, requests_max };
        Self(Batcher::start("payments", Together(KeptConnection::of(pool)), limits))
    }

    /// Writes the first row of a payment. `None` when there is one already.
    pub async fn insert(&self, first: First) -> Result<Option<Payment>, PaymentError> {
        Ok(self.0.queue_up(Entry::First(first)).await?)
    }

    /// Changes a payment and writes its transfers. `None` when somebody else changed it since it was seen.
    pub async fn advance(&self, change: Change) -> Result<Option<Payment>, PaymentError> {
        Ok(self.0.queue_up(Entry::Change(change)).await?)
    }
}

#[derive(Debug)]
struct Together(KeptConnection);

impl Batch for Together {
    type Request = Entry;
    type Answer = Option<Payment>;
    type Error = Arc<PaymentError>;

    async fn write(&self, entries: &[Entry]) -> Result<Vec<Option<Payment>>, Arc<PaymentError>> {
        Ok(write(&self.0, entries).await?)
    }

    fn is_of_one_request(error: &Arc<PaymentError>) -> bool {
        match &**error {
            PaymentError::Database(error) => database::is_of_one_part(error),
            _ => true,
        }
    }
}

async fn write(kept: &KeptConnection, entries: &[Entry]) -> Result<Vec<Option<Payment>>, PaymentError> {
    let (mut firsts, mut changes) = (Vec::new(), Vec::new());
    for entry in entries {
        match entry {
            Entry::First(first) => firsts.push(first),
            Entry::Change(change) => changes.push(change),
        }
    }
    let states = || firsts.iter().map(|first| first.state).chain(changes.iter().map(|change| change.state));
    let mut connection = kept.take().await?;
    states().for_each(kill_points::before_commit);
    let (inserted, advanced) = match (firsts.is_empty(), changes.is_empty()) {
        // a statement that is alone is its own transaction: one round trip
        (false, true) => (store::insert_all(&mut *connection, &firsts).await?, Vec::new()),
        (true, _) => (Vec::new(), store::advance_all(&mut *connection, &changes).await?),
        (false, false) => {
            let mut tx = connection.begin().await?;
            let inserted = store::insert_all(&mut *tx, &firsts).await?;
            let advanced = store::advance_all(&mut *tx, &changes).await?;
            tx.commit().await?;
            (inserted, advanced)
        }
    };
    states().for_each(kill_points::after_commit);
    kept.keep(connection);
    let (mut inserted, mut advanced) = (inserted.into_iter(), advanced.into_iter());
    let answer = |entry: &Entry| match entry {
        Entry::First(_) => inserted.next().flatten(),
        Entry::Change(_) => advanced.next().flatten(),
    };
    Ok(entries.iter().map(answer).collect())
}
