//! 15: SIGTERM loses nothing. Seen from outside: no piece of work that a process had in hand when it ended is left lying. All
//! such work is rows with a time at which they are due again; one that is long past means that nobody takes it up.

use sqlx::AssertSqlSafe;

use super::Finding;
use crate::audit::finding::SUSPECTS_MAX;
use crate::audit::sources::{Sources, unread};
use crate::failure::Failure;

/// A kind of work: where its rows are, and when one is due again.
struct Work {
    database: &'static str,
    table: &'static str,
    /// The columns that name a row and tell its time.
    id: &'static str,
    due: &'static str,
    /// What a row is called.
    called: &'static str,
}

const WORK: [Work; 5] = [
    Work { database: "orders", table: "orders", id: "order_id", due: "attempt_at", called: "order" },
    Work { database: "payments", table: "charge_work", id: "order_id", due: "attempt_at", called: "charge of order" },
    Work { database: "shipping", table: "shipment", id: "order_id", due: "due_at", called: "parcel of order" },
    Work {
        database: "shipping",
        table: "address_question",
        id: "order_id",
        due: "attempt_at",
        called: "question for the address of order",
    },
    Work { database: "notifications", table: "message", id: "message_id", due: "attempt_at", called: "message" },
];

/// Nothing is left lying.
pub async fn is_taken_up(sources: &Sources, finding: &mut Finding) -> Result<(), Failure> {
    for Work { database, table, id, due, called } in WORK {
        let pool = sources.database(database)?;
        let count = AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
        let pieces: i64 = sqlx::query_scalar(count).fetch_one(pool).await.map_err(unread(database))?;
        finding.checked += u64::try_from(pieces).unwrap_or_default();
        let lying = AssertSqlSafe(format!(
            "SELECT {id}::text, extract(epoch FROM now() - {due})::bigint
             FROM {table} WHERE {due} < now() - interval '30 s' ORDER BY 1 LIMIT {SUSPECTS_MAX}"
        ));
        let rows: Vec<(String, i64)> = sqlx::query_as(lying).fetch_all(pool).await.map_err(unread(database))?;
        for (row, seconds) in rows {
            finding.suspect(
                None,
                format!("{called} {row}"),
                format!("has been due for {seconds} s, and nobody takes it up"),
            );
        }
    }
    Ok(())
}
