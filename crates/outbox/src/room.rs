//! Whether the database still has room for letters.
//!
//! The table only grows until its oldest day is dropped, so it is the first to meet a full disk. Then each change that it
//! tells about fails whole, and a service that cannot change anything should get no calls: it is not [ready](readiness).

use std::{
    iter,
    sync::atomic::{AtomicBool, Ordering},
};

use service_runtime::ops::Readiness;
use sqlx::{PgPool, error::DatabaseError};
use tracing::warn;
use uuid::Uuid;

/// SQLSTATE disk_full.
const DISK_FULL: &str = "53100";

/// The payload that is tried. A page has 8 KiB: this one fits nowhere but into a new one.
const TRIED_BYTES: usize = 6 * 1024;

/// Whether a letter was refused for want of room and none was tried with success since. Of the process, as its metrics are:
/// a service has one outbox.
static FULL: AtomicBool = AtomicBool::new(false);

/// Remembers a write that failed for want of room.
pub(crate) fn remember(failure: &sqlx::Error) {
    if is_disk_full(failure) && !FULL.swap(true, Ordering::Relaxed) {
        warn!("{}", told(failure));
    }
}

/// Ready while the database answers and has room for letters.
pub fn readiness(pool: PgPool) -> Readiness {
    Readiness::DatabaseAnd(pool, |pool| Box::pin(async move { has_room(&pool).await }))
}

/// Whether letters can be written. Costs nothing unless one was refused for want of room; then one is tried, and taken
/// back. Fails with the reason, in words for operators.
async fn has_room(pool: &PgPool) -> Result<(), String> {
    if !FULL.load(Ordering::Relaxed) {
        return Ok(());
    }
    match try_one(pool).await {
        Ok(()) => {
            FULL.store(false, Ordering::Relaxed);
            Ok(())
        }
        Err(failure) => Err(told(&failure)),
    }
}

fn told(failure: &sqlx::Error) -> String {
    format!("no room for letters: {failure}; free the disk of the database")
}

/// Writes a letter that takes a page of its own, and takes it back: nobody ever sees it.
async fn try_one(pool: &PgPool) -> Result<(), sqlx::Error> {
    // Postgres compresses what can be compressed
    let payload: Vec<u8> = iter::repeat_with(|| Uuid::now_v7().into_bytes()).flatten().take(TRIED_BYTES).collect();
    let mut tx = pool.begin().await?;
    sqlx::query(
        // no id of the sequence: the relay would wait for the letter that has it
        "INSERT INTO outbox (id, topic, event_id, key, sequence, event_type, source, occurred_at, payload)
         VALUES (0, 'none', $1, 'none', 1, 'none', 'none', now(), $2)",
    )
    .bind(Uuid::now_v7())
    .bind(payload)
    .execute(&mut *tx)
    .await?;
    tx.rollback().await
}

fn is_disk_full(failure: &sqlx::Error) -> bool {
    failure.as_database_error().and_then(DatabaseError::code).is_some_and(|code| code == DISK_FULL)
}
