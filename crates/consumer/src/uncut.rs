//! Database work that comes to its end, whatever becomes of who waits for it.

use std::{sync::Arc, time::Duration};

use crate::group::Group;

/// Runs database work in a task of its own: a future that is dropped would give its connection back with an open
/// transaction (sqlx #4385).
///
/// After the deadline its outcome is unknown, which is an outage as any other: if it did commit after all, whoever tries
/// again is fenced by the position, or finds the row gone.
pub(crate) async fn uncut<T: Send + 'static>(
    deadline: Duration,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, String> {
    match tokio::time::timeout(deadline, tokio::spawn(work)).await {
        Ok(Ok(outcome)) => Ok(outcome),
        Ok(Err(panic)) => Err(panic.to_string()),
        Err(_) => Err(format!("the database took longer than {deadline:?}")),
    }
}

/// [`uncut`] for what is not a batch: whatever goes wrong is an outage.
pub(crate) async fn uncut_query<T, W>(group: &Arc<Group>, work: impl FnOnce(Arc<Group>) -> W) -> Result<T, String>
where
    T: Send + 'static,
    W: Future<Output = Result<T, sqlx::Error>> + Send + 'static,
{
    let outcome = uncut(group.config.transaction_deadline, work(group.clone())).await?;
    outcome.map_err(|error| error.to_string())
}
