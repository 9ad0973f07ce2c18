//! Twice as many orders as the platform can take, for a minute: how many it takes all the same, what the others are told, and how
//! soon it is as before.

use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use serde::Serialize;
use tokio::time::Instant;

use crate::{
    figure::Figures,
    load::{Basket, Door, Load},
    platform::{self, Platform},
    settled::Lags,
    slice::{Pace, Tally},
};

/// In flight at the peak.
const PEAK_CLIENTS: u16 = 256;

/// More than the gateway works on at once, so that it has to refuse.
const CROWD: u16 = 2_000;

/// Those who look how it is.
const CALM_CLIENTS: u16 = 8;

/// Orders a second of theirs.
const CALM_RATE: u32 = 20;

/// So much longer than before may answers take that are as before.
const AS_BEFORE: u32 = 2;

/// What is not over then is not measured.
const RECOVERY_MAX: Duration = Duration::from_mins(2);

/// For how long.
#[derive(Debug, Clone, Args, Serialize)]
pub struct Overload {
    /// How long there is too much, in seconds.
    #[arg(long, default_value = "60", value_name = "SECONDS", value_parser = clap::value_parser!(u16).range(1..=600))]
    seconds: u16,

    /// To see that it works: 5 s.
    #[arg(long, conflicts_with = "seconds")]
    quick: bool,
}

impl Overload {
    /// On a platform of its own, audited at the end.
    pub async fn measure(self, figures: &mut Figures) -> Result<()> {
        platform::under_load(async |platform| self.measure_on(platform, figures).await).await
    }

    async fn measure_on(self, platform: &Platform, figures: &mut Figures) -> Result<()> {
        let mut crowd = Crowd { load: Load::prepare(platform).await? };
        platform.analyze().await?;
        let short = Duration::from_secs(if self.quick { 2 } else { 5 });
        for _ in 0..3 {
            crowd.orders(PEAK_CLIENTS, Pace::Closed, short).await?;
        }
        let mut peak = 0.0_f64;
        for _ in 0..3 {
            let (tally, took) = crowd.orders(PEAK_CLIENTS, Pace::Closed, short).await?;
            peak = peak.max(f64::from(tally.orders()) / took.as_secs_f64());
        }
        let [calm] = crowd.orders(CALM_CLIENTS, Pace::Steady(CALM_RATE), short).await?.0.quantiles([0.5]);

        let length = Duration::from_secs(if self.quick { 5 } else { self.seconds.into() });
        let (mut tally, took) = crowd.orders(CROWD, Pace::Steady(twice(peak)), length).await?;
        let over = Instant::now();
        eprintln!("{} orders taken in {took:.1?}, other answers by status: {:?}", tally.orders(), tally.others());
        figures.per_second("overload: orders taken", tally.orders(), took);
        figures.times("overload: orders taken against the peak", f64::from(tally.orders()) / took.as_secs_f64() / peak);
        let all = tally.orders() + tally.others().values().sum::<u32>();
        for (status, count) in tally.others() {
            figures.pieces(format!("overload: answers {status}, for each order that came"), (*count).into(), all);
        }
        for (quantile, wait) in ["p50", "p99"].into_iter().zip(tally.quantiles([0.5, 0.99])) {
            figures.milliseconds(format!("overload: answer {quantile}"), wait);
        }

        let back = crowd.back_to_normal(over, calm).await?;
        figures.milliseconds("overload: back to normal after", back);
        let settled = Lags::of(platform).await?.settled(platform).await?;
        figures.milliseconds("overload: all is done after", settled.at.saturating_duration_since(over));
        eprintln!("auditing what all these orders have left behind");
        platform.audit(crowd.load.journal()?).await
    }
}

struct Crowd {
    load: Load,
}

impl Crowd {
    async fn orders(&mut self, clients: u16, pace: Pace, length: Duration) -> Result<(Tally, Duration)> {
        let clients = self.load.clients(clients, Basket::All, Door::Telephone).await?;
        let (tally, took, acknowledged) = clients.order(pace, length).await?;
        self.load.write_down(&acknowledged)?;
        Ok((tally, took))
    }

    /// How long after `over` the first second ended in which every order was taken, and half of them as soon as before.
    async fn back_to_normal(&mut self, over: Instant, calm: Duration) -> Result<Duration> {
        while over.elapsed() < RECOVERY_MAX {
            let (mut tally, _) = self.orders(CALM_CLIENTS, Pace::Steady(CALM_RATE), Duration::from_secs(1)).await?;
            let [p50] = tally.quantiles([0.5]);
            if tally.others().is_empty() && p50 <= AS_BEFORE * calm {
                return Ok(over.elapsed());
            }
        }
        bail!("{} s after the overload it is not as before", RECOVERY_MAX.as_secs());
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "so many orders a second fit")]
fn twice(peak: f64) -> u32 {
    (2.0 * peak) as u32
}
