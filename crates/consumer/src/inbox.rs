//! For effects that have no natural key: a row for each letter that had its effect.

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// Inbox rows live for this many days. Topics keep letters for 30, so none that is older can come again.
pub const INBOX_KEPT_DAYS: i32 = 31;

/// Notes that `group` handles this letter, and says whether it does so for the first time. If not, the handler returns
/// without an effect.
///
/// Prefer a natural unique key (one shipment per order): it costs no row and holds for ever.
pub async fn first_time_in_tx(conn: &mut PgConnection, group: &str, event_id: Uuid) -> Result<bool, sqlx::Error> {
    let noted = sqlx::query(r#"INSERT INTO consumer_inbox ("group", event_id) VALUES ($1, $2) ON CONFLICT DO NOTHING"#)
        .bind(group)
        .bind(event_id)
        .execute(conn)
        .await?;
    Ok(noted.rows_affected() == 1)
}

/// Drops rows that are too old, of all groups, so many at a time. Returns whether there may be more.
pub(crate) async fn purge(pool: &PgPool) -> Result<bool, sqlx::Error> {
    const ROWS_MAX: u64 = 5_000;
    let purged = sqlx::query(
        "DELETE FROM consumer_inbox
         WHERE ctid = ANY (ARRAY(
             SELECT ctid FROM consumer_inbox WHERE received_at < now() - make_interval(days => $1) LIMIT $2))",
    )
    .bind(INBOX_KEPT_DAYS)
    .bind(i64::try_from(ROWS_MAX).expect("it is small"))
    .execute(pool)
    .await?;
    Ok(purged.rows_affected() == ROWS_MAX)
}
