//! Following one thing for one client: what its service tells is handed on, and where the service breaks off it is asked again.

use std::{future::Future, time::Duration};

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::{sync::mpsc, time::sleep};
use tokio_stream::{Stream, StreamExt};
use tonic::Status;
use tracing::{debug, warn};

/// How long a client may take to make room for the next change.
const TAKE_TIME_MAX: Duration = Duration::from_secs(10);

/// How often the service is asked again, without a word from it, before the client is left to come again by itself: for six to
/// twelve seconds. With jitter, since all streams break off at the same moment.
const PAUSES: ExponentialBuilder =
    ExponentialBuilder::new().with_min_delay(Duration::from_millis(200)).with_max_times(5).with_jitter();

/// What a service tells of something that is watched.
pub trait Change: Send + 'static {
    /// How far changes were seen.
    type Position: Copy + Send;

    /// Who tells it, for the log.
    const SERVICE: &'static str;

    /// Whether there is a last one. Then a stream that ends without any says that it was seen already.
    const HAS_LAST: bool;

    /// Who has seen it has seen so much; `None` when that is what it was before.
    fn position(&self) -> Option<Self::Position>;

    /// Whether nothing can change any more.
    fn is_last(&self) -> bool;
}

/// Hands each change on to `client`, until the last that there can be. `changes` are those after the position `seen`; when they
/// break off, `watch_after` opens them again after the last one that came. Ends early when the client is gone or takes
/// nothing for ten seconds, and when the service stays away.
pub async fn follow<C, S, F>(
    mut changes: S,
    mut seen: C::Position,
    watch_after: impl Fn(C::Position) -> F,
    client: &mpsc::Sender<C>,
) where
    C: Change,
    S: Stream<Item = Result<C, Status>> + Unpin,
    F: Future<Output = Result<S, Status>>,
{
    let mut has_come = false;
    let mut pauses = PAUSES.build();
    loop {
        let broke_off = match changes.next().await {
            Some(Ok(change)) => {
                seen = change.position().unwrap_or(seen);
                let is_last = change.is_last();
                if client.send_timeout(change, TAKE_TIME_MAX).await.is_err() || is_last {
                    return;
                }
                has_come = true;
                pauses = PAUSES.build();
                continue;
            }
            // the client had seen the last change before it came
            None if C::HAS_LAST && !has_come => return,
            None => Status::unavailable("the stream ended before the last change"),
            Some(Err(status)) => status,
        };
        debug!(service = C::SERVICE, %broke_off, "a stream of changes broke off");
        changes = loop {
            let Some(pause) = pauses.next() else {
                warn!(service = C::SERVICE, %broke_off, "changes are not told, the client is to come again");
                return;
            };
            sleep(pause).await;
            match watch_after(seen).await {
                Ok(changes) => break changes,
                Err(status) => debug!(service = C::SERVICE, %status, "a stream of changes cannot be opened"),
            }
        };
    }
}

#[cfg(test)]
mod tests;
