//! A service whose clock is five minutes off.

use std::{cell::OnceCell, time::Duration};

use contracts::topics;
use futures::future::LocalBoxFuture;
use tokio::time::{Instant, sleep};

use crate::{
    customer::{Customer, new_key},
    faults::{
        FaultRow,
        clock::ShiftedClock,
        scene::{Outcome, Scene},
        world::World,
    },
};

/// Five minutes.
const SHIFT_SECONDS: i64 = 300;

/// Of the card that nobody ever knows about: its order is given up this long after it was placed.
const EXPIRES_AFTER: Duration = Duration::from_secs(30);

/// As the API promises it.
const EXPIRES_WITHIN: Duration = Duration::from_secs(45);

/// One service after another believes in another time. Nothing expires early or late: what the databases' clocks decide is
/// decided as ever, and tokens of accounts are good at the gateway.
#[derive(Debug, Default)]
pub struct WrongClock {
    clock: OnceCell<ShiftedClock>,
}

impl FaultRow for WrongClock {
    fn name(&self) -> &'static str {
        "clock of one service 5 min off"
    }

    fn cannot_be_played(&self) -> Option<String> {
        ShiftedClock::is_missing()
    }

    fn play<'a>(&'a self, scene: &'a mut Scene<'_>) -> LocalBoxFuture<'a, ()> {
        Box::pin(async {
            let clock = self.clock.get_or_init(ShiftedClock::compile);
            for service in ["order", "shipping", "accounts"] {
                for seconds in [SHIFT_SECONDS, -SHIFT_SECONDS] {
                    let fault = format!("clock of {service} {:+} min", seconds / 60);
                    scene
                        .strike(fault, async |world| {
                            clock.shift(&mut world.platform, service, seconds);
                            start_again(world, service).await;
                            let outcome = expiries(world, service).await;
                            ShiftedClock::set_right(&mut world.platform, service);
                            start_again(world, service).await;
                            outcome
                        })
                        .await;
                }
            }
        })
    }
}

async fn start_again(world: &mut World, service: &str) {
    world.platform.stop(service).await;
    world.platform.start_again(service).await;
}

/// What expired before its time, or not when it should.
async fn expiries(world: &World, service: &str) -> Outcome {
    match service {
        "accounts" => {
            let newcomer = Customer::register(&world.platform).await;
            let status = newcomer.get("/v1/accounts/me").await.status.as_u16();
            if status != 200 {
                return Outcome::Broken(format!("a new token is refused with {status}"));
            }
        }
        "order" if world.length.choose(false, true) => {
            let expired = expires_after(world).await;
            if !(EXPIRES_AFTER..EXPIRES_WITHIN).contains(&expired) {
                return Outcome::Broken(format!("an order expired after {:.1} s", expired.as_secs_f64()));
            }
        }
        // long enough for every timer to look
        _ => sleep(Duration::from_secs(world.length.choose(2, 10))).await,
    }
    let early = early(world).await;
    Outcome::of(early == 0, format!("{early} early or late expiries"))
}

/// Orders that were given up before their time, by their database's clock, and parcels that left before theirs: no row lasts
/// until a parcel leaves by itself.
async fn early(world: &World) -> i64 {
    let expired: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM orders JOIN outbox ON topic = $1 AND key = order_id::text AND sequence = version
         WHERE reason = 'EXPIRED' AND inserted_at < decide_by",
    )
    .bind(topics::ORDERS.name())
    .fetch_one(world.platform.database("orders"))
    .await
    .expect("order has its tables");
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM shipment WHERE status IN ('DISPATCHED', 'DELIVERED')")
        .fetch_one(world.platform.database("shipping"))
        .await
        .expect("shipping has its table");
    expired + left
}

/// How long it takes until an order whose charge nobody ever knows about is given up.
async fn expires_after(world: &World) -> Duration {
    let customer = Customer::register(&world.platform).await;
    let placed = Instant::now();
    let id = customer.order(&new_key(), "mug", 1, "tok_no_reply").await.expect(202).order_id();
    while placed.elapsed() < 2 * EXPIRES_WITHIN {
        if customer.read_order(&id).await["status"] == "REJECTED" {
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    placed.elapsed()
}
