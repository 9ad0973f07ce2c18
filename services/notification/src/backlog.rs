//! Telling how much waits to be sent.
//!
//! | metric | what |
//! |---|---|
//! | `messages_due` | messages that wait to be sent, counted up to 100,000 |
//! | `messages_due_oldest_age_seconds` | how long the oldest of them has waited |
//! | `message_attempts_total{outcome}` | attempts by this process: `sent`, `postponed` (an outage), `refused`, `failed` (the last refusal), `erased` (whom it was for) |

use std::time::Duration;

use metrics::{describe_counter, describe_gauge, gauge};
use tokio::time::sleep;
use tracing::debug;

use crate::{Deps, store};

/// How often it is looked up.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Tells it until the end of the process is requested. Every replica tells the same of what is due.
pub async fn run(deps: Deps) {
    describe_gauge!("messages_due", "Messages that wait to be sent, up to 100,000");
    describe_gauge!("messages_due_oldest_age_seconds", "How long the oldest of them has waited");
    describe_counter!("message_attempts_total", "Attempts to send a message, by what came of them");
    loop {
        match store::backlog(&deps.pool).await {
            Ok(backlog) => {
                #[expect(clippy::cast_precision_loss, reason = "counted to 100,000")]
                gauge!("messages_due").set(backlog.messages as f64);
                gauge!("messages_due_oldest_age_seconds").set(backlog.oldest_age_seconds);
            }
            Err(error) => debug!(%error, "how much waits to be sent is not known"),
        }
        tokio::select! {
            () = deps.shutdown.requested() => return,
            () = sleep(LOOK_EVERY) => {}
        }
    }
}
