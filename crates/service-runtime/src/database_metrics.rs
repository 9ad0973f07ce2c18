//! What is seen of the service's database, and of the connections that this process has to it. See [`crate::ops`] for the names.

use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, gauge};
use sqlx::PgPool;
use tokio::time::sleep;
use tracing::debug;

/// How often it is looked up.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// What Postgres counts for the whole database, whoever uses it.
#[derive(Debug, sqlx::FromRow)]
struct Counted {
    size_bytes: i64,
    sessions: i64,
    committed: i64,
    rolled_back: i64,
    blocks_read: i64,
    blocks_hit: i64,
    deadlocks: i64,
    oldest_transaction_seconds: f64,
}

/// Tells it for as long as the process lives. Every replica tells the same of the database.
pub(crate) async fn run(pool: PgPool) {
    describe();
    loop {
        tell_of_pool(&pool);
        match look(&pool).await {
            Ok(counted) => tell(&counted),
            Err(error) => debug!(%error, "how the database is doing is not known"),
        }
        sleep(LOOK_EVERY).await;
    }
}

fn describe() {
    describe_gauge!(
        "database_connections",
        "Connections of this process: in_use or idle in its pool, or kept beside it"
    );
    describe_gauge!("database_connections_max", "The most connections of the pool of this process");
    describe_gauge!("database_size_bytes", "The database on the disk");
    describe_gauge!("database_sessions", "Sessions on the database, whosever they are");
    describe_gauge!("database_oldest_transaction_seconds", "Age of the oldest transaction of this login");
    describe_counter!("database_transactions_total", "Transactions on the database: committed or rolled_back");
    describe_counter!("database_blocks_total", "Blocks that were wanted, and found in the cache or read from the disk");
    describe_counter!("database_deadlocks_total", "Deadlocks that the database resolved");
}

#[expect(clippy::cast_precision_loss, reason = "nobody has 2^52 connections")]
fn tell_of_pool(pool: &PgPool) {
    let idle = pool.num_idle();
    gauge!("database_connections", "state" => "idle").set(idle as f64);
    gauge!("database_connections", "state" => "in_use").set((pool.size() as usize).saturating_sub(idle) as f64);
    gauge!("database_connections_max").set(f64::from(pool.options().get_max_connections()));
}

async fn look(pool: &PgPool) -> Result<Counted, sqlx::Error> {
    // transactions of others are hidden from this login, and so are their ages
    sqlx::query_as(
        "SELECT pg_database_size(datname) AS size_bytes, numbackends::bigint AS sessions, xact_commit AS committed,
             xact_rollback AS rolled_back, blks_read AS blocks_read, blks_hit AS blocks_hit, deadlocks,
             (SELECT coalesce(extract(epoch FROM clock_timestamp() - min(xact_start)), 0)::float8
              FROM pg_stat_activity WHERE pg_stat_activity.datname = current_database() AND pid <> pg_backend_pid())
                 AS oldest_transaction_seconds
         FROM pg_stat_database WHERE datname = current_database()",
    )
    .fetch_one(pool)
    .await
}

#[expect(clippy::cast_precision_loss, reason = "a database of 2^52 bytes may be off by one")]
fn tell(counted: &Counted) {
    gauge!("database_size_bytes").set(counted.size_bytes as f64);
    gauge!("database_sessions").set(counted.sessions as f64);
    gauge!("database_oldest_transaction_seconds").set(counted.oldest_transaction_seconds);
    let total = |count: i64| u64::try_from(count).unwrap_or_default();
    counter!("database_transactions_total", "outcome" => "committed").absolute(total(counted.committed));
    counter!("database_transactions_total", "outcome" => "rolled_back").absolute(total(counted.rolled_back));
    counter!("database_blocks_total", "from" => "cache").absolute(total(counted.blocks_hit));
    counter!("database_blocks_total", "from" => "disk").absolute(total(counted.blocks_read));
    counter!("database_deadlocks_total").absolute(total(counted.deadlocks));
}
