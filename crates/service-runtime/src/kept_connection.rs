//! Connections that their owner keeps from one transaction to the next.

use std::{
    ops::{Deref, DerefMut},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use metrics::gauge;
use sqlx::{PgConnection, PgPool};
use tokio::time::Instant;

/// How long one is kept at the most: what a session gathers, such as plans, gets no older than in sqlx's pool.
const KEPT_MAX: Duration = Duration::from_mins(30);

/// For what writes again and again: a batcher, a consumer group, a queue of work.
///
/// sqlx's pool asks each connection that comes back whether it lives (`return_to_pool`, sqlx 0.9; no option turns it off): a
/// round trip beside the one or four of a transaction. A kept connection left the pool, so it is beside `DATABASE_CONNECTIONS`,
/// and nobody can hold up the pool by keeping. An owner who writes several times at once keeps as many.
#[derive(Debug)]
pub struct KeptConnection {
    pool: PgPool,
    kept: Mutex<Vec<Held>>,
}

impl KeptConnection {
    /// What the pool gives when it is first taken.
    pub const fn of(pool: PgPool) -> Self {
        Self { pool, kept: Mutex::new(Vec::new()) }
    }

    /// A connection, for one transaction: one that was kept, or another of the pool while all of them are out. Fails as the pool does.
    pub async fn take(&self) -> Result<Held, sqlx::Error> {
        if let Some(held) = self.lock().pop() {
            return Ok(held);
        }
        let connection = self.pool.acquire().await?.detach();
        Ok(Held { connection, since: Instant::now(), _counted: Counted::new() })
    }

    /// Keeps the connection for the next transaction. To be called when the one before has ended well; what is not kept is closed,
    /// and Postgres rolls back what it left open.
    pub fn keep(&self, held: Held) {
        if held.since.elapsed() < KEPT_MAX {
            self.lock().push(held);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Held>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that was taken.
#[derive(Debug)]
pub struct Held {
    connection: PgConnection,
    since: Instant,
    _counted: Counted,
}

impl Deref for Held {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

/// Counts a connection as long as there is one.
#[derive(Debug)]
struct Counted;

impl Counted {
    fn new() -> Self {
        gauge!("database_connections", "state" => "kept").increment(1.0);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        gauge!("database_connections", "state" => "kept").decrement(1.0);
    }
}
