//! When an id that no letter has may be passed for good.
//!
//! An unseen id was drawn by a transaction that rolled back, or by one that has yet to commit. Passing the second kind
//! would lose a letter. Two facts together tell that the transaction is over:
//! - A row with a greater id was inserted more than twice `transaction_timeout` ago, by the database's clock. The
//!   unseen id was drawn before that, so its transaction has been ended by the server, or was about to commit. The
//!   second timeout is for clocks that jump.
//! - The server ends no transaction during its commit, which may wait long for a disk or a standby. But such a one has
//!   a transaction id by then. So the oldest running transaction id must since have passed every one given out by then.
//!   A long writing transaction anywhere on the server delays that, no more.
//!
//! What this leaves out: prepared transactions (`max_prepared_transactions` is 0 by default), and writers that raise
//! their own `transaction_timeout`.

use std::time::Duration;

use sqlx::PgConnection;

use crate::progress::Progress;

/// Applies the rule from time to time.
#[derive(Debug)]
pub(crate) struct GapRule {
    /// How long the row after a gap must have been there.
    wait: Duration,
    /// Gaps below `below` satisfy the first condition; the second holds once every transaction before `xmax` is over.
    candidate: Option<Candidate>,
}

#[derive(Debug)]
struct Candidate {
    below: i64,
    xmax: i64,
}

impl GapRule {
    /// The rule for the role of this connection, which the writers share; `None` when its transactions have no
    /// timeout, so that no gap may ever be passed.
    pub async fn for_role(connection: &mut PgConnection) -> Result<Option<Self>, sqlx::Error> {
        let timeout_ms: Option<i64> =
            sqlx::query_scalar("SELECT setting::bigint FROM pg_settings WHERE name = 'transaction_timeout'")
                .fetch_optional(connection)
                .await?;
        let timeout_ms = timeout_ms.and_then(|ms| u64::try_from(ms).ok()).unwrap_or(0);
        let wait = Duration::from_millis(timeout_ms) * 2;
        Ok((!wait.is_zero()).then_some(Self { wait, candidate: None }))
    }

    /// The id below which no letter will appear any more, if that became known. Letters below it that are visible now
    /// may not be published yet: read once more, and pass only the gaps before the first of them.
    pub async fn settled(
        &mut self,
        connection: &mut PgConnection,
        progress: &Progress,
    ) -> Result<Option<i64>, sqlx::Error> {
        let starts: Vec<i64> = progress.published().map(|(start, _)| start).collect();
        if starts.is_empty() {
            self.candidate = None;
            return Ok(None);
        }
        // statement_timestamp() was taken before the statement's snapshot, so the snapshot is not older
        let (below, xmin, xmax): (Option<i64>, i64, i64) = sqlx::query_as(
            "SELECT (
                 SELECT max(later.id)
                 FROM unnest($1::bigint[]) AS later(id)
                 CROSS JOIN LATERAL (SELECT inserted_at FROM outbox WHERE outbox.id = later.id) AS later_row
                 WHERE later_row.inserted_at < statement_timestamp() - $2 * interval '1 millisecond'
             ),
             pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
             pg_snapshot_xmax(pg_current_snapshot())::text::bigint",
        )
        .bind(starts)
        .bind(i64::try_from(self.wait.as_millis()).expect("the server's timeouts fit 32 bits"))
        .fetch_one(connection)
        .await?;
        let settled = self.candidate.take_if(|candidate| candidate.xmax <= xmin).map(|candidate| candidate.below);
        if self.candidate.is_none() {
            self.candidate = below.map(|below| Candidate { below, xmax });
        }
        Ok(settled)
    }
}
