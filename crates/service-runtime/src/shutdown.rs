//! Ending in order: told once, everything that is under way finishes, with a deadline.

use std::{future::Future, time::Duration};

use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

/// How long work under way may take after the end was requested.
const DRAIN_DEADLINE: Duration = Duration::from_secs(10);

/// The end of the process, as its parts see it: when it was requested, and what must finish before it comes.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    token: CancellationToken,
    tasks: TaskTracker,
}

impl Shutdown {
    /// An end that nobody has requested yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns when the end was requested.
    pub async fn requested(&self) {
        self.token.cancelled().await;
    }

    /// As [`Self::requested`], for a future that outlives this value.
    pub async fn requested_owned(self) {
        self.token.cancelled_owned().await;
    }

    /// The token that is cancelled when the end is requested.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Requests the end.
    pub fn request(&self) {
        self.token.cancel();
    }

    /// Runs a part of the service for as long as the process lives. It must return soon after the end was requested;
    /// when it returns before that, the service has lost a part and ends.
    pub fn spawn_part(&self, name: &'static str, part: impl Future<Output = ()> + Send + 'static) {
        let token = self.token.clone();
        self.tasks.spawn(async move {
            let end_was_requested = token.clone();
            // dropped on return and on panic alike: a service that lost a part must not look alive
            let _guard = token.drop_guard();
            part.await;
            if !end_was_requested.is_cancelled() {
                warn!(part = name, "a part of the service returned on its own, ending");
            }
        });
    }

    /// Runs work that must not be cut short by a caller that goes away (a dropped future gives a connection back with
    /// an open transaction). The process waits for it before it ends.
    pub fn spawn_work<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.tasks.spawn(work)
    }

    /// Waits for everything that was spawned, at most [`DRAIN_DEADLINE`].
    pub(crate) async fn drain(&self) {
        self.token.cancel();
        self.tasks.close();
        let left = self.tasks.len();
        info!(tasks = left, "draining");
        if tokio::time::timeout(DRAIN_DEADLINE, self.tasks.wait()).await.is_err() {
            warn!(tasks = self.tasks.len(), "the drain deadline passed, ending with work under way");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn drain_waits_for_work_under_way() {
        let shutdown = Shutdown::new();
        let (finish, finished) = tokio::sync::oneshot::channel::<()>();
        let work = shutdown.spawn_work(async move { finished.await.is_ok() });
        let draining = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { shutdown.drain().await }
        });
        shutdown.requested().await;
        assert!(!draining.is_finished());
        finish.send(()).unwrap();
        draining.await.unwrap();
        assert!(work.await.unwrap());
    }

    #[tokio::test]
    async fn a_lost_part_ends_the_service() {
        let shutdown = Shutdown::new();
        shutdown.spawn_part("short", async {});
        shutdown.requested().await;
    }
}
