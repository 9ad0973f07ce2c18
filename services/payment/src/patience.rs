//! How long to go on asking the card network, and how long to pause between two calls.

use std::time::Duration;

use contracts::ids::OrderId;
use tokio::time::{Instant, sleep};
use tracing::{debug, warn};

use crate::{payment::Heard, psp_client::Unclear};

/// The pause after the first call; it doubles with each.
const PAUSE_MIN: Duration = Duration::from_millis(25);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// The longest that one item may take, whatever its caller says.
const BUDGET_MAX: Duration = Duration::from_secs(30);

/// What is left of an item's budget.
#[derive(Debug)]
pub struct Patience {
    deadline: Instant,
    pause: Duration,
}

impl Patience {
    /// Begins now.
    pub fn new(budget: Duration) -> Self {
        Self { deadline: Instant::now() + budget.min(BUDGET_MAX), pause: PAUSE_MIN }
    }

    /// Calls the network until it answers clearly; `None` when the budget ran out before. Each call is told the time that
    /// is left for it, and `what` it is for shows in the log.
    pub async fn until_clear<F>(
        mut self,
        order_id: OrderId,
        what: &'static str,
        call: impl Fn(Duration) -> F,
    ) -> Option<Heard>
    where
        F: Future<Output = Result<Heard, Unclear>>,
    {
        let mut is_first = true;
        loop {
            match call(self.left()).await {
                Ok(answer) => return Some(answer),
                // a card that never replies is asked dozens of times: one line is enough
                Err(unclear) if is_first => {
                    warn!(order.id = %order_id, "the outcome of the {what} is unknown, asking again: {unclear}");
                }
                Err(unclear) => debug!(order.id = %order_id, "the outcome of the {what} is still unknown: {unclear}"),
            }
            is_first = false;
            if !self.pause().await {
                return None;
            }
        }
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Pauses before the next call. False, at once, when no time would be left for it.
    async fn pause(&mut self) -> bool {
        // a random half, so that callers who failed together do not come back together
        let pause = self.pause.mul_f64(rand::random_range(0.5..1.0));
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        if self.left() <= pause {
            return false;
        }
        sleep(pause).await;
        true
    }
}
