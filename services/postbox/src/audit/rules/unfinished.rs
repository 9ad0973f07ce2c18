//! 15: SIGTERM loses nothing. Seen from outside: no piece of work that a process had in hand when it ended is left lying. All
//! such work is rows with a time at which they are due again; one that is long past means that nobody takes it up.

use super::Finding;
use crate::audit::sources::{Sources, unread};
use crate::failure::Failure;

/// For each kind of work: its database, how much of it there is and was, and what is due for more than 30 s.
const WORK: [(&str, &str, &str); 5] = [
    (
        "orders",
        "SELECT count(*) FROM orders",
        "SELECT 'order ' || order_id, extract(epoch FROM now() - attempt_at)::bigint
         FROM orders WHERE attempt_at < now() - interval '30 s' ORDER BY 1 LIMIT 100000",
    ),
    (
        "payments",
        "SELECT count(*) FROM charge_work",
        "SELECT 'charge of order ' || order_id, extract(epoch FROM now() - attempt_at)::bigint
         FROM charge_work WHERE attempt_at < now() - interval '30 s' ORDER BY 1 LIMIT 100000",
    ),
    (
        "shipping",
        "SELECT count(*) FROM shipment",
        "SELECT 'parcel of order ' || order_id, extract(epoch FROM now() - due_at)::bigint
         FROM shipment WHERE due_at < now() - interval '30 s' ORDER BY 1 LIMIT 100000",
    ),
    (
        "shipping",
        "SELECT count(*) FROM address_question",
        "SELECT 'question for the address of order ' || order_id, extract(epoch FROM now() - attempt_at)::bigint
         FROM address_question WHERE attempt_at < now() - interval '30 s' ORDER BY 1 LIMIT 100000",
    ),
    (
        "notifications",
        "SELECT count(*) FROM message",
        "SELECT 'message ' || message_id, extract(epoch FROM now() - attempt_at)::bigint
         FROM message WHERE attempt_at < now() - interval '30 s' ORDER BY 1 LIMIT 100000",
    ),
];

/// Nothing is left lying.
pub async fn is_taken_up(sources: &Sources, finding: &mut Finding) -> Result<(), Failure> {
    for (database, count, lying) in WORK {
        let pool = sources.database(database)?;
        let pieces: i64 = sqlx::query_scalar(count).fetch_one(pool).await.map_err(unread(database))?;
        finding.checked += u64::try_from(pieces).unwrap_or_default();
        let rows: Vec<(String, i64)> = sqlx::query_as(lying).fetch_all(pool).await.map_err(unread(database))?;
        for (subject, seconds) in rows {
            finding.suspect(None, subject, format!("has been due for {seconds} s, and nobody takes it up"));
        }
    }
    Ok(())
}
