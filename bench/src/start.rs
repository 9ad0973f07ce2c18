//! How fast the platform starts, how much memory it takes, and how long one order takes.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::{figure::Figures, followers, orders, platform::Platform, service};

/// How often, and how much.
#[derive(Debug, Clone, Args, Serialize)]
pub struct StartUp {
    /// How often each start is measured.
    #[arg(long, default_value = "5", value_parser = clap::value_parser!(u8).range(1..=50))]
    rounds: u8,

    /// How many orders are placed one after another through each door.
    #[arg(long, default_value = "500", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    orders: u32,

    /// How long followers are measured, in seconds.
    #[arg(long, default_value = "20", value_parser = clap::value_parser!(u16).range(1..=600))]
    followers_for: u16,
}

impl StartUp {
    /// Starts a platform so often, and orders from the last.
    pub async fn measure(self, figures: &mut Figures) -> Result<()> {
        for round in 0..self.rounds {
            let platform = Platform::up(figures).await?;
            let measured = self.measure_on(&platform, round, figures).await;
            platform.down().await?;
            measured?;
        }
        Ok(())
    }

    async fn measure_on(&self, platform: &Platform, round: u8, figures: &mut Figures) -> Result<()> {
        platform.memory_when_idle(figures).await?;
        service::starts(platform, figures).await?;
        if round + 1 == self.rounds {
            orders::one_at_a_time(platform, self.orders, figures).await?;
            followers::at_a_steady_rate(platform, Duration::from_secs(self.followers_for.into()), figures).await?;
            platform.memory_after_load(figures)?;
        }
        // at the end: those who are ended here leave their groups without a word
        service::first_order(platform, round, figures).await
    }
}
