//! A relay that stands still, without a switch of its own: whoever has the lock of the leader is the only one who may publish, so
//! while the benchmark has it, letters wait.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use sqlx::{Connection, PgConnection};
use tokio::time::sleep;

/// How long the relay may take to lead again: it asks once a second, when it is connected.
const LEADS_AGAIN: Duration = Duration::from_secs(30);

const POLL: Duration = Duration::from_millis(5);

/// Ends the session that has the lock. A lock of 64 bits is listed as its two halves.
const DEPOSE: &str = "
    SELECT count(pg_terminate_backend(pid)) FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND pid <> pg_backend_pid()
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND classid::bigint = $1 >> 32 AND objid::bigint = $1 & 4294967295";

/// The lock of a database's leader, taken away from it.
#[derive(Debug)]
pub struct Standstill {
    lock: PgConnection,
    watch: PgConnection,
    epoch: i64,
}

impl Standstill {
    /// Takes the lock, as the superuser of the database's server.
    pub async fn begin(superuser_url: &str) -> Result<Self> {
        let mut lock = PgConnection::connect(superuser_url).await?;
        let mut axe = PgConnection::connect(superuser_url).await?;
        let locking = sqlx::query("SELECT pg_advisory_lock($1)").bind(outbox::LEADER_LOCK).execute(&mut lock);
        let deposing = async {
            let until = Instant::now() + LEADS_AGAIN;
            loop {
                // until it is ours: a leader may have come back before we stood in the queue
                let deposed: i64 = sqlx::query_scalar(DEPOSE).bind(outbox::LEADER_LOCK).fetch_one(&mut axe).await?;
                ensure!(Instant::now() < until, "the relay's lock is not given up ({deposed} sessions were ended)");
                sleep(POLL).await;
            }
        };
        tokio::select! {
            locked = locking => { locked?; }
            failed = deposing => return failed.context("the relay cannot be held up"),
        }
        let mut watch = PgConnection::connect(superuser_url).await?;
        let epoch = epoch(&mut watch).await?;
        Ok(Self { lock, watch, epoch })
    }

    /// Gives the lock back. Returns as soon as a relay leads, with that moment.
    pub async fn end(mut self) -> Result<Instant> {
        self.lock.close().await?;
        let until = Instant::now() + LEADS_AGAIN;
        while epoch(&mut self.watch).await? == self.epoch {
            ensure!(Instant::now() < until, "no relay leads {LEADS_AGAIN:?} after it was let go");
            sleep(POLL).await;
        }
        Ok(Instant::now())
    }
}

/// Each new leader raises it.
async fn epoch(database: &mut PgConnection) -> Result<i64> {
    Ok(sqlx::query_scalar("SELECT epoch FROM outbox_progress").fetch_one(database).await?)
}
