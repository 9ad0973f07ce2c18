//! By letter against by telephone: the same orders through both doors of one platform.
//!
//! By letter an answer says that the order was taken, so answers a second say little: here too a slice is over when every order
//! is decided and all that it caused is done.

use anyhow::{Context, Result};
use sqlx::{Connection, PgConnection};
use std::time::Duration;

use crate::{
    figure::Figures,
    load::Door,
    platform::{self, Platform},
    side::Slice,
    stack::{Order, Stack},
    turns::{Turns, in_turns},
};

/// Orders in flight.
const IN_FLIGHT: [u16; 2] = [32, 256];

/// From the letter that an order was taken to the one that it is completed, both by order's clock; of the orders since that letter.
const DECIDED_AFTER: &str = "
    SELECT percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (
        ORDER BY extract(epoch FROM decided.occurred_at - taken.occurred_at)::double precision)
    FROM outbox AS taken JOIN outbox AS decided USING (topic, key)
    WHERE taken.id > $1 AND taken.event_type = 'order.created'
        AND decided.id > $1 AND decided.event_type = 'order.completed'";

/// Orders through both doors in turns.
pub async fn measure(turns: Turns, figures: &mut Figures) -> Result<()> {
    platform::under_load(async |platform| measure_on(platform, turns, figures).await).await
}

async fn measure_on(platform: &Platform, turns: Turns, figures: &mut Figures) -> Result<()> {
    let mut stack = Stack::prepare(platform).await?;
    let mut letters = PgConnection::connect(&platform.database_url("orders")).await?;
    platform.analyze().await?;
    stack.warm_up().await?;
    for cycle in turns.cycles() {
        for in_flight in IN_FLIGHT {
            let (mut by_telephone, mut by_letter) = (0.0, 0.0);
            for door in in_turns(cycle, Door::Telephone, Door::Letter) {
                let before = last_letter(&mut letters).await?;
                let slice = stack.slice(Order { door, ..Order::closed(in_flight) }, turns.length()).await?;
                let (name, rate) = match door {
                    Door::Telephone => ("by telephone", &mut by_telephone),
                    Door::Letter => ("by letter", &mut by_letter),
                };
                *rate = slice.per_second();
                note(&format!("{name}, {in_flight} in flight"), slice, &mut letters, before, figures).await?;
            }
            figures.times(format!("by letter, {in_flight} in flight: against by telephone"), by_letter / by_telephone);
        }
    }
    stack.audit().await
}

async fn note(name: &str, slice: Slice, letters: &mut PgConnection, before: i64, figures: &mut Figures) -> Result<()> {
    slice.note_all(name, figures);
    let decided: Option<Vec<f64>> = sqlx::query_scalar(DECIDED_AFTER).bind(before).fetch_one(letters).await?;
    let decided = decided.with_context(|| format!("{name}: no order was completed"))?;
    for (quantile, seconds) in ["p50", "p99"].into_iter().zip(decided) {
        figures.milliseconds(format!("{name}: decided after, {quantile}"), Duration::from_secs_f64(seconds));
    }
    Ok(())
}

async fn last_letter(letters: &mut PgConnection) -> Result<i64> {
    Ok(sqlx::query_scalar("SELECT coalesce(max(id), 0) FROM outbox").fetch_one(letters).await?)
}
