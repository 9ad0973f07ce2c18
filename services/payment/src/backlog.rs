//! Telling how much waits to be charged by letter.
//!
//! | metric | what |
//! |---|---|
//! | `charge_work_depth` | orders by letter that wait to be charged or answered, counted up to 100,000 |
//! | `charge_work_oldest_age_seconds` | how long the oldest of them has waited |

use std::time::Duration;

use metrics::{describe_gauge, gauge};
use service_runtime::Shutdown;
use sqlx::PgPool;
use tokio::time::sleep;
use tracing::debug;

use crate::work::{self, Backlog};

/// How often it is looked up.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Tells it until the end of the process is requested. Every replica tells the same.
pub async fn run(pool: PgPool, shutdown: Shutdown) {
    describe_gauge!("charge_work_depth", "Orders by letter that wait to be charged or answered, up to 100,000");
    describe_gauge!("charge_work_oldest_age_seconds", "How long the oldest of them has waited");
    loop {
        match work::backlog(&pool).await {
            Ok(backlog) => tell(backlog),
            Err(error) => debug!(%error, "how much waits to be charged is not known"),
        }
        tokio::select! {
            () = shutdown.requested() => return,
            () = sleep(LOOK_EVERY) => {}
        }
    }
}

fn tell(backlog: Backlog) {
    #[expect(clippy::cast_precision_loss, reason = "counted to 100,000")]
    gauge!("charge_work_depth").set(backlog.orders as f64);
    gauge!("charge_work_oldest_age_seconds").set(backlog.oldest_age_seconds);
}
