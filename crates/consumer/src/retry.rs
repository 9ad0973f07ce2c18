//! The second look at parked letters, which any member takes: retries, death, copies; and what has to be swept up.

use std::{sync::Arc, time::Duration};

use sqlx::{Acquire, PgConnection};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    backoff::{self, Pause},
    dead_letter,
    group::{self, Group, Partition},
    handler::HandlerError,
    inbox,
    metrics::{self, Outcome},
    parked::{self, Parked},
    uncut::uncut_query,
};

/// How often the rows are counted and the inbox is purged.
const HOUSEKEEPING_INTERVAL: Duration = Duration::from_secs(5);

/// Looks after the parked letters of a group until it is cancelled.
pub(crate) async fn run(group: Arc<Group>, cancel: CancellationToken) {
    let mut outage: Option<Pause> = None;
    let mut housekeeping_at = Instant::now();
    while !cancel.is_cancelled() {
        let outcome = tokio::select! {
            outcome = round(&group, &cancel, &mut housekeeping_at) => outcome,
            // a transaction that takes longer still comes to its end: it runs in a task of its own
            () = late(&cancel, group.config.handover_deadline) => return,
        };
        let next = match outcome {
            Ok(()) => {
                outage = None;
                Instant::now() + group.config.retry_poll_interval
            }
            Err(reason) => {
                if outage.is_none() {
                    warn!(group = group.name, reason, "parked letters must wait");
                }
                outage.insert(Pause::begin(outage.as_ref(), group.config.outage_backoff_max)).until()
            }
        };
        tokio::select! {
            () = cancel.cancelled() => {}
            () = sleep_until(next) => {}
        }
    }
}

/// Returns so long after the end was requested.
async fn late(cancel: &CancellationToken, patience: Duration) {
    cancel.cancelled().await;
    sleep(patience).await;
}

async fn round(group: &Arc<Group>, cancel: &CancellationToken, housekeeping_at: &mut Instant) -> Result<(), String> {
    while !cancel.is_cancelled() && uncut_query(group, retry_one).await? {}
    dead_letter::send_due(group, cancel).await?;
    if Instant::now() >= *housekeeping_at {
        *housekeeping_at = Instant::now() + HOUSEKEEPING_INTERVAL;
        let (parked, dead) =
            uncut_query(group, |group| async move { parked::count(&group.pool, &group).await }).await?;
        metrics::set_parked(group, parked, dead);
        while !cancel.is_cancelled()
            && uncut_query(group, |group| async move { inbox::purge(&group.pool).await }).await?
        {}
    }
    Ok(())
}

/// Tries one letter that is due. Returns whether there was one.
pub(crate) async fn retry_one(group: Arc<Group>) -> Result<bool, sqlx::Error> {
    let mut tx = group.pool.begin().await?;
    let Some(parked) = parked::lock_due_in_tx(&mut tx, &group).await? else { return Ok(false) };
    // a savepoint: what a refused try has done is undone, and the row stays locked
    let mut attempt = tx.begin().await?;
    let outcome = match try_in_tx(&mut attempt, &group, &parked).await {
        Ok(outcome) => {
            attempt.commit().await?;
            parked::remove_in_tx(&mut tx, parked.id).await?;
            Some(outcome)
        }
        Err(refusal) => {
            attempt.rollback().await?;
            refused_in_tx(&mut tx, &group, &parked, &refusal).await?
        }
    };
    tx.commit().await?;
    let Partition { topic, number } = parked.partition;
    let (id, offset, reason) = (parked.id, parked.letter.offset, parked.error);
    match outcome {
        None => {}
        Some(Outcome::Dead) => error!(
            group = group.name,
            topic,
            partition = number,
            offset,
            id,
            reason,
            "a letter is dead and blocks its key: mend the cause, then redrive or discard it"
        ),
        Some(_) => info!(group = group.name, topic, partition = number, offset, id, "a parked letter is done"),
    }
    if outcome == Some(Outcome::Applied) {
        group.committed();
    }
    if let Some(outcome) = outcome {
        metrics::add_events(&group, topic, outcome, 1);
    }
    Ok(true)
}

async fn try_in_tx(conn: &mut PgConnection, group: &Group, parked: &Parked) -> Result<Outcome, HandlerError> {
    let event = parked.letter.read()?;
    let topic = parked.partition.topic;
    if !group.wants(topic, &event.event_type) {
        return Ok(Outcome::Skipped);
    }
    group.handle(topic, conn, &event).await?;
    group::check_in_tx(conn, group).await?;
    Ok(Outcome::Applied)
}

/// Notes that a try was in vain. The letter waits longer, or is dead.
async fn refused_in_tx(
    conn: &mut PgConnection,
    group: &Group,
    parked: &Parked,
    refusal: &HandlerError,
) -> Result<Option<Outcome>, sqlx::Error> {
    let config = &group.config;
    let text = refusal.text();
    let retries = match refusal {
        // an outage is nothing that a letter dies of
        HandlerError::Retry(_) => parked.retry_count,
        HandlerError::Reject(_) => parked.retry_count + 1,
    };
    if i64::from(retries) >= i64::from(config.retry_tries_max) {
        parked::bury_in_tx(conn, parked.id, &text, retries).await?;
        return Ok(Some(Outcome::Dead));
    }
    let wait = backoff::before_retry(config.retry_backoff, retries);
    parked::postpone_in_tx(conn, parked.id, &text, retries, wait).await?;
    Ok(None)
}
