//! The right to publish, held by one relay for each database.

use std::time::Duration;

use service_runtime::database;
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tokio_util::sync::CancellationToken;

use crate::{
    interruption::{Interruption, answered},
    progress::Progress,
};

/// The advisory lock that the relay which publishes holds in its database ("outbox" in ASCII): whoever else holds it keeps all letters
/// waiting.
pub const LEADER_LOCK: i64 = 0x6f75_7462_6f78;

/// A session that says nothing for this long is ended by the server, and its lock with it.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// How often a standby asks for the lock.
const ASK_INTERVAL: Duration = Duration::from_secs(1);

/// An advisory lock on a session of its own, and the number of this leadership.
///
/// The leader does all its reading and writing on this session. So whatever it does with success proves that it holds
/// the lock, and a leader that was stopped for long finds its session gone before it can do harm.
pub(crate) struct Lease {
    pub connection: PgConnection,
    /// The leadership's number; see [`Lease::save`].
    epoch: i64,
}

impl Lease {
    /// Waits until this relay is the leader; `None` when it was cancelled first. The progress is that of the leader
    /// before.
    pub async fn obtain(
        database: &PgConnectOptions,
        cancel: &CancellationToken,
    ) -> Result<Option<(Self, Progress)>, Interruption> {
        let mut connection = answered(PgConnection::connect_with(&session(database))).await?;
        loop {
            let ask =
                sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(LEADER_LOCK).fetch_one(&mut connection);
            if answered(ask).await? {
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(ASK_INTERVAL) => {}
                () = cancel.cancelled() => return Ok(None),
            }
        }
        let (epoch, floor, starts, ends): (i64, i64, Vec<i64>, Vec<i64>) = answered(
            sqlx::query_as(
                "UPDATE outbox_progress SET epoch = epoch + 1
                 RETURNING epoch, floor,
                     ARRAY(SELECT lower(range) FROM unnest(published) AS range ORDER BY 1),
                     ARRAY(SELECT upper(range) - 1 FROM unnest(published) AS range ORDER BY 1)",
            )
            .fetch_one(&mut connection),
        )
        .await?;
        Ok(Some((Self { connection, epoch }, Progress::new(floor, starts.into_iter().zip(ends)))))
    }

    /// Writes the progress down, unless a newer leader has taken over.
    pub async fn save(&mut self, progress: &Progress) -> Result<(), Interruption> {
        let (starts, ends): (Vec<i64>, Vec<i64>) = progress.published().unzip();
        let saved = answered(
            sqlx::query(
                "UPDATE outbox_progress
                 SET floor = $2,
                     published = coalesce(
                         (SELECT range_agg(int8range(first, last, '[]'))
                          FROM unnest($3::bigint[], $4::bigint[]) AS range(first, last)),
                         '{}')
                 WHERE epoch = $1",
            )
            .bind(self.epoch)
            .bind(progress.floor())
            .bind(starts)
            .bind(ends)
            .execute(&mut self.connection),
        )
        .await?;
        if saved.rows_affected() == 0 { Err(Interruption::Deposed) } else { Ok(()) }
    }

    /// Gives the lock back.
    pub async fn release(self) -> Result<(), Interruption> {
        answered(self.connection.close()).await
    }
}

/// The session of a relay. It must reach Postgres itself: a pooler would give the lock to somebody else.
fn session(database: &PgConnectOptions) -> PgConnectOptions {
    let silence_ms = SILENCE_MAX.as_millis().to_string();
    database::by_key(database.clone()).application_name("outbox-relay").options([
        ("idle_session_timeout", silence_ms.as_str()),
        // a session is not idle while the server waits for a stopped client to read its answer
        ("tcp_user_timeout", silence_ms.as_str()),
        // a mark that a crash of the server forgets means a letter sent twice; it need not cost a flush
        ("synchronous_commit", "off"),
        // few statements, run for ever: to plan each anew over all partitions would cost more than to run it
        ("plan_cache_mode", "force_generic_plan"),
        ("jit", "off"),
    ])
}
