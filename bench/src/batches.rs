//! What it brings, and what it costs, that orders share commits: a platform whose services write each request in a commit of its own
//! beside one as it is. Both run all the time and are ordered from in turns; the one that nobody orders from costs both the same.

use std::time::Duration;

use anyhow::Result;

use crate::{
    figure::Figures,
    platform::{self, Platform, Start},
    stack::{Order, Stack},
    turns::{Turns, in_turns},
};

/// Orders in flight. Alone an order shares with nobody: there sharing may cost nothing.
const IN_FLIGHT: [u16; 3] = [1, 32, 256];

/// Orders on both platforms in turns.
pub async fn measure(turns: Turns, figures: &mut Figures) -> Result<()> {
    let alone = Start::for_load().with("BATCH_REQUESTS_MAX", "1");
    platform::under_load(async |shared| {
        platform::with(alone, async |alone| measure_on(shared, alone, turns, figures).await).await
    })
    .await
}

async fn measure_on(shared: &Platform, alone: &Platform, turns: Turns, figures: &mut Figures) -> Result<()> {
    let mut shared = Side::prepare("shared commits", shared).await?;
    let mut alone = Side::prepare("a commit each", alone).await?;
    for cycle in turns.cycles() {
        for in_flight in IN_FLIGHT {
            for side in in_turns(cycle, &mut shared, &mut alone) {
                side.order(in_flight, turns, figures).await?;
            }
            let name = format!("shared commits, {in_flight} in flight");
            figures.times(format!("{name}: orders against a commit each"), shared.rate / alone.rate);
            let p50s = shared.p50.as_secs_f64() / alone.p50.as_secs_f64();
            figures.times(format!("{name}: p50 against a commit each"), p50s);
        }
    }
    shared.stack.audit().await?;
    alone.stack.audit().await
}

struct Side<'a> {
    name: &'static str,
    stack: Stack<'a>,
    /// Of its last slice, in orders a second.
    rate: f64,
    /// Of its last slice.
    p50: Duration,
}

impl<'a> Side<'a> {
    async fn prepare(name: &'static str, platform: &'a Platform) -> Result<Self> {
        let mut stack = Stack::prepare(platform).await?;
        platform.analyze().await?;
        stack.warm_up().await?;
        Ok(Self { name, stack, rate: 0.0, p50: Duration::ZERO })
    }

    async fn order(&mut self, in_flight: u16, turns: Turns, figures: &mut Figures) -> Result<()> {
        let mut slice = self.stack.slice(Order::closed(in_flight), turns.length()).await?;
        self.rate = slice.per_second();
        [self.p50] = slice.tally.quantiles([0.5]);
        slice.note_all(&format!("{}, {in_flight} in flight", self.name), figures);
        Ok(())
    }
}
