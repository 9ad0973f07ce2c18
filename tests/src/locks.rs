//! Row locks: a moment that is held open, because a service waits for what a test has locked.

use sqlx::{Acquire, PgConnection, Postgres, pool::PoolConnection};
use testkit::{SOON, eventually};

use crate::platform::Platform;

/// A row lock, held by a connection of the test's own.
#[derive(Debug)]
pub struct Lock(PoolConnection<Postgres>);

impl Lock {
    /// Locks what `query` finds by `key`.
    pub async fn take(platform: &Platform, database: &str, query: &'static str, key: &str) -> Self {
        let mut connection = platform.database(database).acquire().await.expect("a connection");
        let inner: &mut PgConnection = connection.acquire().await.expect("the same");
        sqlx::query("BEGIN").execute(&mut *inner).await.expect("a transaction");
        sqlx::query(query).bind(key).execute(&mut *inner).await.expect("the lock");
        Self(connection)
    }

    /// Waits until somebody waits for the lock.
    pub async fn is_waited_for(&mut self) {
        eventually(SOON, "somebody waits for the lock", async || {
            let waiting: bool = sqlx::query_scalar(
                "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid)))",
            )
            .fetch_one(&mut *self.0)
            .await
            .expect("the database tells");
            waiting
        })
        .await;
    }

    /// Lets go.
    pub async fn release(mut self) {
        sqlx::query("ROLLBACK").execute(&mut *self.0).await.expect("the end of the transaction");
    }
}
