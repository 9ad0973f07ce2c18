//! Every database connection of a service is busy.

use std::time::Duration;

use futures::{StreamExt, future::LocalBoxFuture, stream::FuturesUnordered};
use testkit::{SOON, eventually_some};
use tokio::time::{Instant, sleep};

use crate::{
    customer::Customer,
    faults::{
        FaultRow,
        scene::{Outcome, Scene},
        world::World,
    },
};

/// How long a request waits for a connection before it is shed: the default of `DATABASE_ACQUIRE_TIMEOUT_MS`.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(1);

/// What a busy machine adds to it.
const MARGIN: Duration = Duration::from_millis(500);

/// How long the connections are busy; less than a statement waits for a lock.
const BUSY: Duration = Duration::from_secs(4);

/// How many ask at the same time, when all connections are busy.
const ASKERS: usize = 20;

/// The table of orders is locked, so that each connection of order waits for it: whoever else comes is told so at once.
#[derive(Debug)]
pub struct PoolExhausted;

impl FaultRow for PoolExhausted {
    fn name(&self) -> &'static str {
        "connection pool exhausted"
    }

    fn play<'a>(&'a self, scene: &'a mut Scene<'_>) -> LocalBoxFuture<'a, ()> {
        Box::pin(async {
            let customer = Customer::register(&scene.world.platform).await;
            let id = eventually_some(SOON, "an order is taken", async || {
                let answer = customer.order_a_mug().await;
                (answer.status.as_u16() == 201).then(|| answer.order_id())
            })
            .await;
            scene
                .strike(format!("all connections of order busy for {} s", BUSY.as_secs()), async |world| {
                    busy(world, &customer, &id).await
                })
                .await;
        })
    }
}

async fn busy(world: &World, customer: &Customer, id: &str) -> Outcome {
    let mut lock = world.platform.database("orders").begin().await.expect("a transaction");
    let locked = sqlx::query("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await;
    locked.expect("the lock");
    let end = Instant::now() + BUSY;
    // the load has taken every connection before this is over
    sleep(Duration::from_secs(1)).await;
    let path = format!("/v1/orders/{id}");
    let asking: FuturesUnordered<_> = (0..ASKERS)
        .map(|_| async {
            let asked = Instant::now();
            (customer.get(&path).await.status.as_u16(), asked.elapsed())
        })
        .collect();
    let mut shed: Vec<Duration> =
        asking.filter_map(async |(status, time)| (status == 503).then_some(time)).collect().await;
    let is_ready = world.platform.is_ready("order").await;
    tokio::time::sleep_until(end).await;
    lock.rollback().await.expect("the end of the transaction");

    shed.sort_unstable();
    let p99 = shed.get((shed.len() * 99).div_ceil(100).saturating_sub(1)).copied();
    let figure = match p99 {
        Some(p99) => format!("{} of {ASKERS} shed, p99 {:.2} s", shed.len(), p99.as_secs_f64()),
        None => "nobody was shed".to_owned(),
    };
    if is_ready {
        return Outcome::Broken(format!("{figure}; order said that it was ready"));
    }
    Outcome::of(p99.is_some_and(|p99| p99 <= ACQUIRE_TIMEOUT + MARGIN), figure)
}
