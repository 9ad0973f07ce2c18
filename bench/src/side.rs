//! The sides that are compared, the platform and the ceiling, and what a slice of either came to.

use std::{sync::Arc, time::Duration};

use anyhow::{Result, ensure};

use crate::{
    allocations::Allocations,
    figure::Figures,
    load::{Basket, Door},
    pg::Ceiling,
    platform::Platform,
    processor::{LOAD, POSTGRES, Used},
    script::Script,
    slice::{Pace, Tally},
    stack::{Order, Stack},
};

/// Which waits are published.
const WAITS: [(&str, f64); 3] = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)];

/// Both sides, on one database server.
#[derive(Debug)]
pub struct Sides<'a> {
    platform: &'a Platform,
    stack: Stack<'a>,
    ceiling: Ceiling,
}

/// The ways to write an order without the platform.
#[derive(Debug, Clone, Copy)]
pub enum Way {
    /// One statement, one commit.
    P1,
    /// Three statements, three commits.
    P3,
}

impl<'a> Sides<'a> {
    /// Customers on the one side, tables on the other.
    pub async fn prepare(platform: &'a Platform) -> Result<Self> {
        let (stack, ceiling) = (Stack::prepare(platform).await?, Ceiling::prepare(platform).await?);
        Ok(Self { platform, stack, ceiling })
    }

    /// Orders that are in no figure.
    pub async fn warm_up(&mut self) -> Result<()> {
        self.stack.warm_up().await
    }

    /// A slice of the platform: it ends when all is done that its orders caused.
    pub async fn stack(&mut self, clients: u16, basket: Basket, pace: Pace, length: Duration) -> Result<Slice> {
        self.ceiling.sweep().await?;
        self.stack.slice(Order { clients, basket, door: Door::Telephone, pace }, length).await
    }

    /// Checks every promise of the platform, and that it has kept every order that was answered 201.
    pub async fn audit(&mut self) -> Result<()> {
        self.stack.audit().await
    }

    /// A slice of the ceiling.
    pub async fn ceiling(&mut self, way: Way, clients: u16, pace: Pace, length: Duration) -> Result<Slice> {
        self.ceiling.sweep().await?;
        let load = self.ceiling.clients(way.script(&self.ceiling), clients).await?;
        let before = Used::by(self.platform)?;
        let (tally, answered) = load.order(pace, length).await?;
        // the platform stands by meanwhile: what that takes is no part of it
        let used = Used::by(self.platform)?.since(&before).only(&[POSTGRES, LOAD]);
        let slice = Slice { tally, answered, settling: Duration::ZERO, used, allocated: None, resident_kibibytes: 0 };
        slice.tell(&format!("{way:?}, {clients} clients"))
    }
}

impl Way {
    fn script(self, ceiling: &Ceiling) -> &Arc<Script> {
        match self {
            Self::P1 => &ceiling.one_commit,
            Self::P3 => &ceiling.three_commits,
        }
    }
}

/// What a slice came to.
#[derive(Debug)]
pub struct Slice {
    /// What was answered, and after how long.
    pub tally: Tally,
    /// Until the last answer.
    pub answered: Duration,
    /// From then until all that the orders caused was done as well.
    pub settling: Duration,
    /// Whose processor time.
    pub used: Used,
    /// By the services, where there are any.
    pub allocated: Option<Allocations>,
    /// Of all services, at the end of the load.
    pub resident_kibibytes: u64,
}

impl Slice {
    /// Orders a second, sustained.
    pub fn per_second(&self) -> f64 {
        f64::from(self.tally.orders()) / self.took().as_secs_f64()
    }

    fn took(&self) -> Duration {
        self.answered + self.settling
    }

    /// Says on standard error what came of it: a run takes minutes. Fails when it was nothing.
    pub fn tell(self, name: &str) -> Result<Self> {
        let others = self.tally.others();
        ensure!(self.tally.orders() > 0, "{name}: no order was taken; answers by status: {others:?}");
        let (rate, settling) = (self.per_second(), self.settling);
        eprintln!("{name}: {rate:.0} orders/s, settled {:.1} s after the last answer", settling.as_secs_f64());
        if !others.is_empty() {
            eprintln!("{name}: other answers, by status (0: none): {others:?}");
        }
        Ok(self)
    }

    /// Notes the rate, whose processor time an order took, and who allocated for it.
    pub fn note_cost(&self, name: &str, figures: &mut Figures) {
        let orders = self.tally.orders();
        figures.per_second(format!("{name}: orders"), orders, self.took());
        figures.microseconds(format!("{name}: processor time of an order"), self.used.all() / orders);
        for (who, used) in self.used.each() {
            figures.microseconds(format!("{name}: processor time of an order, {who}"), used / orders);
        }
        if let Some(allocated) = &self.allocated {
            allocated.note(name, orders, figures);
        }
    }

    /// Notes how long answers took.
    pub fn note_waits(&mut self, name: &str, figures: &mut Figures) {
        let waits = self.tally.quantiles(WAITS.map(|(_, share)| share));
        for ((quantile, _), wait) in WAITS.into_iter().zip(waits) {
            figures.milliseconds(format!("{name}: answer {quantile}"), wait);
        }
    }

    /// Notes everything, of a slice of the platform.
    pub fn note_all(mut self, name: &str, figures: &mut Figures) {
        self.note_cost(name, figures);
        self.note_waits(name, figures);
        figures.milliseconds(format!("{name}: settled after the last answer"), self.settling);
        figures.mebibytes(format!("{name}: all services resident"), self.resident_kibibytes);
        let others: u32 = self.tally.others().values().sum();
        figures.pieces(format!("{name}: not taken, for each order"), others.into(), self.tally.orders());
    }
}
