//! One partition for each day: made ahead, and dropped when old and published.

use sqlx::PgConnection;
use tracing::{info, warn};

/// Days whose partition is made ahead. Every relay would have to be away for so long before letters go to the default
/// partition.
const DAYS_AHEAD: i32 = 3;

/// Makes and drops partitions as the day demands. An attempt that fails, as while somebody reads the table for long,
/// is repeated by the next.
pub(crate) async fn maintain(connection: &mut PgConnection, retention_days: u16) -> Result<(), sqlx::Error> {
    let outcome: Result<(i32, i32), sqlx::Error> =
        sqlx::query_as("SELECT created, dropped FROM outbox_maintain_partitions($1, $2)")
            .bind(DAYS_AHEAD)
            .bind(i32::from(retention_days))
            .fetch_one(connection)
            .await;
    match outcome {
        Ok((0, 0)) => Ok(()),
        Ok((created, dropped)) => {
            info!(created, dropped, "the outbox's partitions were brought up to date");
            Ok(())
        }
        Err(sqlx::Error::Database(error)) => {
            warn!(%error, "the outbox's partitions were not brought up to date, trying again later");
            Ok(())
        }
        Err(error) => Err(error),
    }
}
