//! The second look at parked letters, which any member takes: retries, death, copies; and what has to be swept up.

use std::{sync::Arc, time::Duration};

use sqlx::{Acquire, PgConnection};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    backoff::{self, Backoff},
    batch::{Failure, uncut},
    dead_letter,
    group::{Group, Partition},
    handler::HandlerError,
    inbox,
    metrics::{self, Outcome},
    parked::{self, Parked},
};

/// How often the rows are counted and the inbox is purged.
const HOUSEKEEPING_INTERVAL: Duration = Duration::from_secs(5);

/// Looks after the parked letters of a group until it is cancelled.
pub(crate) async fn run(group: Arc<Group>, cancel: CancellationToken) {
    let interval = group.config.retry_poll_interval;
    let mut outage: Option<Backoff> = None;
    let mut housekeeping_at = Instant::now();
    while !cancel.is_cancelled() {
        let outcome = tokio::select! {
            outcome = round(&group, &cancel, &mut housekeeping_at) => outcome,
            // a transaction that takes longer still comes to its end: it runs in a task of its own
            () = late(&cancel, group.config.handover_deadline) => return,
        };
        let wait = match outcome {
            Ok(()) => {
                outage = None;
                interval
            }
            Err(reason) => {
                if outage.is_none() {
                    warn!(group = group.name, %reason, "parked letters must wait");
                }
                outage.get_or_insert_with(|| Backoff::new(interval, group.config.outage_backoff_max)).wait()
            }
        };
        tokio::select! {
            () = cancel.cancelled() => {}
            () = sleep(wait) => {}
        }
    }
}

/// Returns so long after the end was requested.
async fn late(cancel: &CancellationToken, patience: Duration) {
    cancel.cancelled().await;
    sleep(patience).await;
}

async fn round(group: &Arc<Group>, cancel: &CancellationToken, housekeeping_at: &mut Instant) -> Result<(), String> {
    while !cancel.is_cancelled() && uncut_on(group, retry_one).await? {}
    dead_letter::send_due(group, cancel).await?;
    if Instant::now() >= *housekeeping_at {
        *housekeeping_at = Instant::now() + HOUSEKEEPING_INTERVAL;
        uncut_on(group, keep_house).await?;
    }
    Ok(())
}

/// Runs a piece of database work on the group, uncut.
pub(crate) async fn uncut_on<T, W>(group: &Arc<Group>, work: impl FnOnce(Arc<Group>) -> W) -> Result<T, String>
where
    T: Send + 'static,
    W: Future<Output = Result<T, sqlx::Error>> + Send + 'static,
{
    let work = work(group.clone());
    uncut(group.config.transaction_deadline, async { Ok(work.await?) }).await.map_err(|failure| match failure {
        Failure::Retry(reason) | Failure::Reject(reason) => reason,
        other @ (Failure::Fenced | Failure::Full) => format!("{other:?}"),
    })
}

/// Tries one letter that is due. Returns whether there was one.
async fn retry_one(group: Arc<Group>) -> Result<bool, sqlx::Error> {
    let mut tx = group.pool.begin().await?;
    let Some(parked) = parked::lock_due_in_tx(&mut tx, &group).await? else { return Ok(false) };
    // a savepoint: what a refused try has done is undone, and the row stays locked
    let mut attempt = tx.begin().await?;
    let topic = parked.partition.topic;
    let tried = match parked.letter.read() {
        Ok(event) if group.wants(topic, &event) => {
            group.handle(topic, &mut attempt, &event).await.map(|()| Outcome::Applied)
        }
        Ok(_) => Ok(Outcome::Skipped),
        Err(unreadable) => Err(unreadable.into()),
    };
    let outcome = match tried {
        Ok(outcome) => {
            attempt.commit().await?;
            parked::remove_in_tx(&mut tx, parked.id).await?;
            info!(group = group.name, topic, parked.id, retry = parked.retry_count + 1, "a parked letter is done");
            Some(outcome)
        }
        Err(refusal) => {
            attempt.rollback().await?;
            let wait =
                backoff::nth(group.config.retry_backoff, u32::try_from(parked.retry_count).unwrap_or_default() + 1);
            let text = refusal.text();
            match refusal {
                HandlerError::Retry(_) => {
                    // an outage is nothing that a letter dies of
                    let wait = wait.min(group.config.outage_backoff_max);
                    parked::postpone_in_tx(&mut tx, parked.id, &text, parked.retry_count, wait).await?;
                    None
                }
                HandlerError::Reject(_) => refused_in_tx(&mut tx, &group, &parked, &text, wait).await?,
            }
        }
    };
    tx.commit().await?;
    if let Some(outcome) = outcome {
        metrics::add_events(&group, topic, outcome, 1);
    }
    Ok(true)
}

/// Notes that a try was refused: the letter waits longer, or is dead.
async fn refused_in_tx(
    conn: &mut PgConnection,
    group: &Group,
    parked: &Parked,
    reason: &str,
    wait: Duration,
) -> Result<Option<Outcome>, sqlx::Error> {
    let retries = parked.retry_count + 1;
    if u32::try_from(retries).is_ok_and(|retries| retries < group.config.retry_tries_max) {
        parked::postpone_in_tx(conn, parked.id, reason, retries, wait).await?;
        return Ok(None);
    }
    parked::bury_in_tx(conn, parked.id, reason, retries).await?;
    let Partition { topic, number } = parked.partition;
    error!(
        group = group.name,
        topic,
        partition = number,
        offset = parked.letter.offset,
        parked.id,
        retries,
        reason,
        "a letter is dead and blocks its key: mend the cause, then redrive or discard it"
    );
    Ok(Some(Outcome::Dead))
}

async fn keep_house(group: Arc<Group>) -> Result<(), sqlx::Error> {
    let (parked, dead) = parked::count(&group.pool, &group).await?;
    metrics::set_parked(&group, parked, dead);
    while inbox::purge(&group.pool, group.name).await? {}
    Ok(())
}
