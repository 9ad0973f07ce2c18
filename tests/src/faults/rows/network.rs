//! The network between two services: cut, slow, or losing answers.

use std::{cell::RefCell, time::Duration};

use futures::future::LocalBoxFuture;
use reqwest::Method;
use tokio::time::{Instant, sleep};

use crate::{
    customer::{Customer, new_key, order_body},
    faults::{
        FaultRow, Length, Wishes,
        proxy::{Passing, Proxy},
        scene::{Outcome, Scene},
        world::World,
    },
};

/// A customer has an answer after so long, whatever is cut: the order's 5 s, and what a busy machine adds.
const LONGEST: Duration = Duration::from_secs(6);

/// How late answers are on a slow line.
const LATE: Duration = Duration::from_millis(500);

/// Who calls, the variable that tells it whom, and what that is.
type Line = (&'static str, &'static str, &'static str);

const SHORT: [Line; 2] = [("order", "INVENTORY_URL", "inventory"), ("order", "PAYMENT_URL", "payment")];

const LONG: [Line; 6] = [
    ("order", "INVENTORY_URL", "inventory"),
    ("order", "PAYMENT_URL", "payment"),
    ("order", "DATABASE_URL", "the database of order"),
    ("payment", "PSP_URL", "the card network"),
    ("shipping", "ACCOUNTS_URL", "accounts"),
    ("gateway", "ORDER_URL", "order"),
];

/// A line between two services with a proxy in it.
#[derive(Debug)]
struct Harmed {
    line: Line,
    /// What the caller was told before.
    told: String,
    proxy: Proxy,
}

impl Harmed {
    async fn begin(world: &mut World, line: Line) -> Self {
        let (caller, variable, _) = line;
        let told = world.platform.setting(caller, variable).expect("it calls somebody").to_owned();
        let proxy = Proxy::between(&mut world.platform, caller, variable).await;
        Self { line, told, proxy }
    }

    fn end(self, world: &mut World) {
        let (caller, variable, _) = self.line;
        world.platform.set(caller, variable, Some(self.told));
    }
}

/// Puts a proxy into this line.
async fn harm(world: &mut World, line: Line) -> Harmed {
    let harmed = Harmed::begin(world, line).await;
    start_again(world, line).await;
    harmed
}

/// Takes it out again.
async fn mend(world: &mut World, harmed: Harmed) {
    let line = harmed.line;
    harmed.end(world);
    start_again(world, line).await;
}

/// Who calls over this line.
async fn start_again(world: &mut World, (caller, ..): Line) {
    world.platform.stop(caller).await;
    world.platform.start_again(caller).await;
}

/// A service cannot be reached, or answers half a second late.
#[derive(Debug)]
pub struct CutOffOrLate;

impl FaultRow for CutOffOrLate {
    fn name(&self) -> &'static str {
        "service cut off or late"
    }

    fn play<'a>(&'a self, scene: &'a mut Scene<'_>) -> LocalBoxFuture<'a, ()> {
        Box::pin(async {
            let time = Duration::from_secs(scene.length.choose(5, 10));
            let customer = Customer::register(&scene.world.platform).await;
            for &line in scene.length.choose(&SHORT[..], &LONG[..]) {
                // one at a time: whatever passes a proxy is a little later
                let harmed = harm(scene.world, line).await;
                for (what, passing) in [("cut off", Passing::Nothing), ("500 ms late", Passing::AnswersLate(LATE))] {
                    let (_, _, callee) = line;
                    let fault = format!("{callee} {what} for {} s", time.as_secs());
                    scene
                        .strike(fault, async |_| {
                            harmed.proxy.pass(passing);
                            let longest = longest_request(&customer, time).await;
                            harmed.proxy.pass(Passing::All);
                            Outcome::of(longest <= LONGEST, format!("longest request {:.1} s", longest.as_secs_f64()))
                        })
                        .await;
                }
                mend(scene.world, harmed).await;
            }
        })
    }
}

/// Orders for this long, one after another, and gives the longest time until an answer, be it that nobody can answer.
async fn longest_request(customer: &Customer, time: Duration) -> Duration {
    let until = Instant::now() + time;
    let mut longest = Duration::ZERO;
    while Instant::now() < until {
        let asked = Instant::now();
        // the gateway answers whatever is cut behind it
        let mug = order_body("mug", 1, "tok_visa");
        customer.send(Method::POST, "/v1/orders", Some(&new_key()), Some(mug)).await;
        longest = longest.max(asked.elapsed());
    }
    longest
}

/// The card network charges, and payment never hears of it.
#[derive(Debug, Default)]
pub struct ChargedWithoutAnswer {
    harmed: RefCell<Option<Harmed>>,
}

impl FaultRow for ChargedWithoutAnswer {
    fn name(&self) -> &'static str {
        "card network charges, then times out"
    }

    fn wishes(&self, length: Length) -> Wishes {
        let mut wishes = Wishes::usual(length);
        wishes.load.cards = &["tok_visa", "tok_charged_no_reply"];
        wishes
    }

    fn prepare<'a>(&'a self, world: &'a mut World) -> LocalBoxFuture<'a, ()> {
        Box::pin(async {
            let harmed = harm(world, ("payment", "PSP_URL", "the card network")).await;
            self.harmed.replace(Some(harmed));
        })
    }

    fn play<'a>(&'a self, scene: &'a mut Scene<'_>) -> LocalBoxFuture<'a, ()> {
        Box::pin(async {
            let time = Duration::from_secs(scene.length.choose(6, 20));
            let harmed = self.harmed.take().expect("it was put in before the load");
            scene
                .strike(format!("card network's answers lost for {} s", time.as_secs()), async |world| {
                    harmed.proxy.pass(Passing::NoAnswers);
                    sleep(time).await;
                    harmed.proxy.pass(Passing::All);
                    // that each order has one capture at most, and completed ones have theirs, is checked at rest
                    let unknown = unknown_charges(world).await;
                    Outcome::of(unknown > 0, format!("{unknown} charges unknown at the end of it"))
                })
                .await;
            self.harmed.replace(Some(harmed));
        })
    }

    fn tidy<'a>(&'a self, world: &'a mut World) -> LocalBoxFuture<'a, ()> {
        Box::pin(async {
            if let Some(harmed) = self.harmed.take() {
                mend(world, harmed).await;
            }
        })
    }
}

async fn unknown_charges(world: &World) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM payments WHERE state = 'ATTEMPTING'")
        .fetch_one(world.platform.database("payments"))
        .await
        .expect("payment has its table")
}
