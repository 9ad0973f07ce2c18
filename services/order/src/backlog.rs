//! Telling how many orders have something left to do, by where their sagas stand.
//!
//! | metric | what |
//! |---|---|
//! | `orders_unsettled{state}` | orders that have something left to do, counted up to 100,000 |
//! | `orders_unsettled_oldest_age_seconds{state}` | how long the one of these has waited that has not changed for longest |
//! | `order_steps_heard_total{from,fact,to}` | steps of sagas: see [`hear`](mod@crate::hear) |

use std::{collections::BTreeMap, time::Duration};

use metrics::{describe_counter, describe_gauge, gauge};
use tokio::time::sleep;
use tracing::debug;

use crate::{
    Deps,
    saga::State,
    store::stuck::{self, Backlog},
};

/// How often it is looked up.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Tells it until the end of the process is requested. Every replica tells the same.
pub async fn run(deps: Deps) {
    describe_gauge!("orders_unsettled", "Orders that have something left to do, by state, up to 100,000");
    describe_gauge!("orders_unsettled_oldest_age_seconds", "How long the one that waits longest has not changed");
    describe_counter!("order_steps_heard_total", "Steps of sagas");
    loop {
        match stuck::backlog(&deps.pool).await {
            Ok(backlog) => tell(&backlog),
            Err(error) => debug!(%error, "how many orders have something left to do is not known"),
        }
        tokio::select! {
            () = deps.shutdown.requested() => return,
            () = sleep(LOOK_EVERY) => {}
        }
    }
}

/// A state in which no order is now is told as well, or its last figure would stay for ever.
fn tell(backlog: &BTreeMap<String, Backlog>) {
    for state in State::all().filter(|state| !state.is_settled()) {
        let waiting = backlog.get(state.name()).copied().unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "counted to 100,000")]
        gauge!("orders_unsettled", "state" => state.name()).set(waiting.orders as f64);
        gauge!("orders_unsettled_oldest_age_seconds", "state" => state.name()).set(waiting.oldest_age_seconds);
    }
}
