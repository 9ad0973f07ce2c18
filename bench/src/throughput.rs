//! How many orders a second the whole platform takes, and what an order costs, beside what its database server can do at all.
//!
//! Slices of a few seconds, in turns: what the machine does to one side it does to the other, so the ratio of two slices that
//! follow each other stands where a rate does not. A slice of the platform ends when all that its orders caused is done:
//! letters published, groups at the end of their topics. Load, servers and services share the processors.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::{
    figure::Figures,
    load::Basket,
    platform::{self, Platform},
    side::{Sides, Way},
    slice::Pace,
};

/// Clients of the ceiling: as many as 2 processors keep busy.
const CEILING_CLIENTS: u16 = 32;

/// Orders that may be in flight at a steady rate.
const STEADY_CLIENTS: u16 = 256;

/// What is measured, and for how long.
#[derive(Debug, Clone, Args, Serialize)]
pub struct Throughput {
    /// How often each slice comes.
    #[arg(long, default_value = "5", value_name = "N", value_parser = clap::value_parser!(u8).range(1..=50))]
    cycles: u8,

    /// How long a slice is, in seconds.
    #[arg(long, default_value = "4", value_name = "SECONDS", value_parser = clap::value_parser!(u8).range(1..=60))]
    slice: u8,

    /// Orders in flight: a slice for each of these.
    #[arg(long, default_value = "1,8,32,128,256,512", value_name = "N,…", value_delimiter = ',',
        value_parser = clap::value_parser!(u16).range(1..=1_000))]
    in_flight: Vec<u16>,

    /// Steady rates, in per cent of the best that was just measured: a slice for each of these.
    #[arg(long, default_value = "25,50,75,90", value_name = "PERCENT,…", value_delimiter = ',',
        value_parser = clap::value_parser!(u8).range(1..=100))]
    steady: Vec<u8>,

    /// After each slice a second one in which every order has a line of one and the same product.
    #[arg(long)]
    one_sku: bool,

    /// To see that it works: 3 cycles of 2 s, with 32 and with 256 orders in flight, and at half of the best.
    #[arg(long, conflicts_with_all = ["cycles", "slice", "in_flight", "steady"])]
    quick: bool,
}

impl Throughput {
    /// Measures on a platform of its own. Fails when a promise was broken meanwhile: then no figure counts.
    pub async fn measure(mut self, figures: &mut Figures) -> Result<()> {
        if self.quick {
            (self.cycles, self.slice) = (3, 2);
            (self.in_flight, self.steady) = (vec![32, 256], vec![50]);
        }
        platform::under_load(async |platform| self.measure_on(platform, figures).await).await
    }

    async fn measure_on(&self, platform: &Platform, figures: &mut Figures) -> Result<()> {
        let mut sides = Sides::prepare(platform).await?;
        platform.analyze().await?;
        sides.warm_up().await?;
        let mut peak = Peak::default();
        for _ in 0..self.cycles {
            self.cycle(&mut sides, &mut peak, figures).await?;
        }
        let peak = peak.per_second();
        for _ in 0..self.cycles {
            for &percent in &self.steady {
                self.steady_slice(percent, peak, &mut sides, figures).await?;
            }
        }
        sides.audit().await
    }

    /// As fast as it goes.
    async fn cycle(&self, sides: &mut Sides<'_>, peak: &mut Peak, figures: &mut Figures) -> Result<()> {
        let length = Duration::from_secs(self.slice.into());
        let p1 = sides.ceiling(Way::P1, CEILING_CLIENTS, Pace::Closed, length).await?;
        p1.note_cost(&format!("P1, {CEILING_CLIENTS} clients"), figures);
        for &in_flight in &self.in_flight {
            let p3 = sides.ceiling(Way::P3, CEILING_CLIENTS, Pace::Closed, length).await?;
            p3.note_cost(&format!("P3, {CEILING_CLIENTS} clients"), figures);
            let name = format!("stack, {in_flight} in flight");
            let stack = sides.stack(in_flight, Basket::All, Pace::Closed, length).await?;
            figures.times(format!("{name}: against P3"), stack.per_second() / p3.per_second());
            figures.times(format!("{name}: against P1"), stack.per_second() / p1.per_second());
            let per_second = stack.per_second();
            peak.hear(in_flight, per_second);
            stack.note_all(&name, figures);
            if self.one_sku {
                let one = sides.stack(in_flight, Basket::OneHot, Pace::Closed, length).await?;
                figures.times(format!("{name}, one SKU: against 2,000"), one.per_second() / per_second);
                one.note_all(&format!("{name}, one SKU"), figures);
            }
        }
        Ok(())
    }

    /// At a rate that the platform can keep: how long an answer takes when nobody has to queue.
    async fn steady_slice(&self, percent: u8, peak: u32, sides: &mut Sides<'_>, figures: &mut Figures) -> Result<()> {
        let length = Duration::from_secs(self.slice.into());
        let rate = (peak * u32::from(percent) / 100).max(1);
        let mut p3 = sides.ceiling(Way::P3, CEILING_CLIENTS, Pace::Steady(rate), length).await?;
        let mut stack = sides.stack(STEADY_CLIENTS, Basket::All, Pace::Steady(rate), length).await?;
        // no rate in the names: it differs from run to run
        let name = format!("stack, at {percent} % of its peak");
        let ceiling = format!("P3, at {percent} % of the stack's peak");
        let ([p3_p99], [stack_p99]) = (p3.tally.quantiles([0.99]), stack.tally.quantiles([0.99]));
        figures.per_second(format!("{name}: rate"), rate, Duration::from_secs(1));
        figures.times(format!("{name}: p99 against that of P3"), stack_p99.as_secs_f64() / p3_p99.as_secs_f64());
        p3.note_cost(&ceiling, figures);
        p3.note_waits(&ceiling, figures);
        stack.note_all(&name, figures);
        Ok(())
    }
}

/// What each number of orders in flight came to, cycle by cycle.
#[derive(Debug, Default)]
struct Peak(BTreeMap<u16, Vec<f64>>);

impl Peak {
    fn hear(&mut self, in_flight: u16, per_second: f64) {
        self.0.entry(in_flight).or_default().push(per_second);
    }

    /// The best median, in orders a second.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "so many orders a second fit")]
    fn per_second(mut self) -> u32 {
        let medians = self.0.values_mut().map(|rates| {
            rates.sort_by(f64::total_cmp);
            rates[rates.len() / 2]
        });
        medians.fold(1.0, f64::max) as u32
    }
}
