//! The platform as one that is measured: a slice of orders is over when all is done that they caused.

use std::{net::SocketAddr, time::Duration};

use anyhow::Result;
use sqlx::{Connection, Executor, PgConnection};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    allocations::Allocations,
    load::{Basket, Clients, Door, Load},
    platform::Platform,
    processor::Used,
    settled::Lags,
    side::Slice,
    slice::Pace,
};

/// Before anything is measured, slices of this length …
const WARM_UP: Duration = Duration::from_secs(3);

/// … until so many orders were taken: every connection has its statements prepared, and Java has compiled what it runs most.
const WARM_UP_ORDERS: u32 = 2_000;

/// But no more slices than that: on a machine so slow it makes no difference.
const WARM_UPS_MAX: u8 = 5;

/// A platform, and those who order.
#[derive(Debug)]
pub struct Stack<'a> {
    platform: &'a Platform,
    server: PgConnection,
    lags: Lags,
    load: Load,
}

/// How is ordered in a slice.
#[derive(Debug, Clone, Copy)]
pub struct Order {
    /// So many at the same time.
    pub clients: u16,
    /// What.
    pub basket: Basket,
    /// How.
    pub door: Door,
    /// When.
    pub pace: Pace,
}

impl Order {
    /// By telephone, two of all products, as fast as so many clients get answers.
    pub fn closed(clients: u16) -> Self {
        Self { clients, basket: Basket::All, door: Door::Telephone, pace: Pace::Closed }
    }
}

impl<'a> Stack<'a> {
    /// Registers the customers.
    pub async fn prepare(platform: &'a Platform) -> Result<Self> {
        let server = PgConnection::connect(&platform.database_url("postgres")).await?;
        Ok(Self { platform, server, lags: Lags::of(platform).await?, load: Load::prepare(platform).await? })
    }

    /// Orders that are in no figure.
    pub async fn warm_up(&mut self) -> Result<()> {
        let mut orders = 0;
        for _ in 0..WARM_UPS_MAX {
            orders += self.slice(Order::closed(32), WARM_UP).await?.tally.orders();
            if orders >= WARM_UP_ORDERS {
                break;
            }
        }
        Ok(())
    }

    /// Orders for so long, from a checkpoint on. It ends when all is done that the orders caused.
    pub async fn slice(&mut self, order: Order, length: Duration) -> Result<Slice> {
        self.slice_then(order, length, async || Ok(())).await
    }

    /// As [`Self::slice`], and does this after the last answer.
    pub async fn slice_then(
        &mut self,
        order: Order,
        length: Duration,
        then: impl AsyncFnOnce() -> Result<()>,
    ) -> Result<Slice> {
        self.server.execute("CHECKPOINT").await?;
        let load = self.load.clients(order.clients, order.basket, order.door).await?;
        let allocated = Allocations::by(self.platform).await?;
        let before = Used::by(self.platform)?;
        let (tally, answered, acknowledged) = load.order(order.pace, length).await?;
        let last_answer = Instant::now();
        let resident_kibibytes = self.platform.resident_kibibytes()?;
        then().await?;
        let settled = self.lags.settled(self.platform).await?;
        let (settling, used) = (settled.at.saturating_duration_since(last_answer), settled.used.since(&before));
        let allocated = Some(Allocations::by(self.platform).await?.since(&allocated));
        self.load.write_down(&acknowledged)?;
        let slice = Slice { tally, answered, settling, used, allocated, resident_kibibytes };
        slice.tell(&format!("stack, {} clients", order.clients))
    }

    /// The same customers, who order from somebody else at this address.
    pub async fn clients_elsewhere(&mut self, address: SocketAddr, order: Order) -> Result<Clients> {
        self.server.execute("CHECKPOINT").await?;
        self.load.clients_at(address, order.clients, order.basket, order.door).await
    }

    /// Who orders.
    pub fn customers(&self) -> Vec<Uuid> {
        self.load.customers()
    }

    /// How many orders were acknowledged so far.
    pub fn acknowledged(&self) -> i64 {
        self.load.acknowledged()
    }

    /// Checks every promise of the platform, and that it has kept every order that was taken.
    pub async fn audit(&mut self) -> Result<()> {
        eprintln!("auditing what all these orders have left behind");
        let journal = self.load.journal()?;
        self.platform.audit(journal).await
    }
}
