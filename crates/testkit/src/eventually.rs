//! Waiting for a condition instead of sleeping.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

/// Long enough for anything that happens by itself on a busy machine; a test that waits this long has failed.
pub const SOON: Duration = Duration::from_secs(20);

const POLL: Duration = Duration::from_millis(10);

/// Waits until `condition` is true. Panics with `what` when it is not within `deadline`.
#[track_caller]
pub fn eventually(
    deadline: Duration,
    what: &str,
    mut condition: impl AsyncFnMut() -> bool,
) -> impl Future<Output = ()> {
    eventually_some(deadline, what, async move || condition().await.then_some(()))
}

/// Waits until `find` finds something, and returns it. Panics with `what` when it does not within `deadline`.
#[track_caller]
pub fn eventually_some<T>(
    deadline: Duration,
    what: &str,
    mut find: impl AsyncFnMut() -> Option<T>,
) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    async move {
        let until = Instant::now() + deadline;
        while Instant::now() < until {
            if let Ok(Some(found)) = timeout_at(until, find()).await {
                return found;
            }
            sleep(POLL).await;
        }
        panic!("waited {} s in vain until {what} ({caller})", deadline.as_secs_f32())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_returns_as_soon_as_the_condition_holds() {
        let mut asked = 0;
        let third = eventually_some(SOON, "it was asked three times", async || {
            asked += 1;
            (asked == 3).then_some(asked)
        });
        assert_eq!(third.await, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "in vain until pigs fly")]
    async fn it_panics_with_what_was_waited_for() {
        eventually(Duration::from_millis(30), "pigs fly", async || false).await;
    }

    #[tokio::test]
    #[should_panic(expected = "in vain until pigs fly")]
    async fn a_condition_that_hangs_does_not_outlast_the_deadline() {
        eventually(Duration::from_millis(30), "pigs fly", async || std::future::pending().await).await;
    }
}
