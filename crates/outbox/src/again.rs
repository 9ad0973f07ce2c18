//! Letting letters be published again, when the Kafka that had them is lost.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::PgConnection;

use crate::lease::LEADER_LOCK;

/// Has every letter that was written at `since` or later published once more, before those that never were; the caller
/// commits. Tells how many letters wait then. `None`: a relay has the right to publish, and nothing was changed.
///
/// The letters come in the order of their ids, so a topic that has some of them has each key's first occurrences in the
/// order of its versions afterwards, as long as it lacked only the newest. What was written before `since` is taken for
/// published there.
pub async fn publish_again_in_tx(conn: &mut PgConnection, since: Timestamp) -> Result<Option<i64>, sqlx::Error> {
    let is_free: bool =
        sqlx::query_scalar("SELECT pg_try_advisory_xact_lock($1)").bind(LEADER_LOCK).fetch_one(&mut *conn).await?;
    if !is_free {
        return Ok(None);
    }
    // ids that were rolled back are gaps once more, and the gap rule passes them once more; a new epoch, so that nothing
    // is saved over this by a leader who has lost the lock and does not know it yet
    sqlx::query(
        "UPDATE outbox_progress
         SET floor = least(floor, (SELECT min(id) - 1 FROM outbox WHERE inserted_at >= $1)),
             published = '{}', epoch = epoch + 1",
    )
    .bind(since.to_sqlx())
    .execute(&mut *conn)
    .await?;
    sqlx::query_scalar("SELECT count(*) FROM outbox WHERE id > (SELECT floor FROM outbox_progress)")
        .fetch_one(conn)
        .await
        .map(Some)
}
