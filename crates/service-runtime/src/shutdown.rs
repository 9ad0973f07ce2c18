//! Ending in order: told once, everything that is under way finishes, with a deadline.

use std::{
    future::Future,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use crate::Error;

/// How long work under way may take after the end was requested.
const DRAIN_DEADLINE: Duration = Duration::from_secs(10);

/// The end of the process, as its parts see it: when it was requested, and what must finish before it comes.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    token: CancellationToken,
    tasks: TaskTracker,
    /// The first part that was lost, and how.
    lost: Arc<OnceLock<String>>,
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

    /// Runs a part of the service for as long as the process lives. It must return soon after the end was requested.
    /// When it returns before that, or panics at any time, the service has lost a part: it ends, with exit code 1.
    pub fn spawn_part(&self, name: &'static str, part: impl Future<Output = ()> + Send + 'static) {
        let shutdown = self.clone();
        self.tasks.spawn(async move {
            // a task of its own, so that its panic ends here
            let how = match tokio::spawn(part).await {
                Ok(()) if shutdown.token.is_cancelled() => return,
                Ok(()) => "it returned on its own".to_owned(),
                Err(panic) => panic.to_string(),
            };
            warn!(part = name, how, "lost a part of the service, ending");
            // only the first is told at the end: the others may have followed from it
            let _ = shutdown.lost.set(format!("the service lost its part `{name}`: {how}"));
            // whoever lost a part must not look alive
            shutdown.token.cancel();
        });
    }

    /// Runs work that must not be cut short by a caller that goes away (a dropped future gives a connection back with
    /// an open transaction). The process waits for it before it ends.
    pub fn spawn_work<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.tasks.spawn(work)
    }

    /// Waits for everything that was spawned, at most [`DRAIN_DEADLINE`]. Fails when a part was lost before or meanwhile.
    pub(crate) async fn drain(&self) -> Result<(), Error> {
        self.token.cancel();
        self.tasks.close();
        let left = self.tasks.len();
        info!(tasks = left, "draining");
        if tokio::time::timeout(DRAIN_DEADLINE, self.tasks.wait()).await.is_err() {
            warn!(tasks = self.tasks.len(), "the drain deadline passed, ending with work under way");
        }
        self.lost.get().map_or(Ok(()), |lost| Err(Error::Other(lost.as_str().into())))
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
        draining.await.unwrap().unwrap();
        assert!(work.await.unwrap());
    }

    #[tokio::test]
    async fn a_part_that_returns_on_its_own_ends_the_service_and_is_told() {
        let shutdown = Shutdown::new();
        shutdown.spawn_part("relay", async {});
        shutdown.requested().await;
        let lost = shutdown.drain().await.unwrap_err();
        assert_eq!(lost.to_string(), "the service lost its part `relay`: it returned on its own");
    }

    #[tokio::test]
    async fn a_part_that_returns_when_the_end_was_requested_is_not_lost() {
        let shutdown = Shutdown::new();
        shutdown.spawn_part("relay", shutdown.clone().requested_owned());
        shutdown.drain().await.unwrap();
    }
}
