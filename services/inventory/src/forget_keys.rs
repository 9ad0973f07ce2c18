//! Keys of deliveries are forgotten after a day: until then a delivery that is sent again counts once.

use std::time::Duration;

use service_runtime::Shutdown;
use sqlx::PgPool;
use tracing::{info, warn};

use crate::{InventoryError, store};

/// How often old keys are looked for.
const LOOK_EVERY: Duration = Duration::from_hours(1);

/// The most keys that are forgotten in one transaction.
const KEYS_PER_TRANSACTION: u16 = 1_000;

/// Forgets old keys now and every hour, until the end is requested. Every replica may run it.
pub(crate) async fn run(pool: PgPool, shutdown: Shutdown) {
    while !shutdown.token().is_cancelled() {
        match forget_old_keys(&pool, &shutdown).await {
            Ok(0) => {}
            Ok(keys) => info!(keys, "forgot keys of old deliveries"),
            Err(error) => warn!(%error, "old keys of deliveries stay for another hour"),
        }
        // only the pause is cut short; a transaction never is
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = shutdown.requested() => {}
        }
    }
}

/// Forgets all keys that are old, and says how many. Stops early when the end is requested.
async fn forget_old_keys(pool: &PgPool, shutdown: &Shutdown) -> Result<u64, InventoryError> {
    let mut total = 0;
    loop {
        let forgotten = store::forget_old_receipts(pool, KEYS_PER_TRANSACTION).await?;
        total += forgotten;
        if forgotten < u64::from(KEYS_PER_TRANSACTION) || shutdown.token().is_cancelled() {
            return Ok(total);
        }
    }
}
