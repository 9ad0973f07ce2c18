//! Bad letters, repeated letters, and followers that are slow or come and go.

use std::time::Duration;

use contracts::{
    event::Event,
    ids::OrderId,
    topics::{self, Topic},
};
use futures::future::LocalBoxFuture;
use testkit::eventually;
use tokio::time::{Instant, sleep};

use crate::{
    faults::{
        FaultRow,
        scene::{Outcome, Scene, now},
        world::World,
    },
    letters,
};

/// A poison letter is tried again five times, with pauses of 1, 2, 4, 8 and 16 s; then it is dead.
const DEAD_AFTER: Duration = Duration::from_mins(1);

/// Groups that read orders: inventory, shipping, notification, analytics.
const FOLLOWERS: i64 = 4;

/// The letters of other keys have their effect as soon as this.
const OTHERS_LAG_MAX: Duration = Duration::from_secs(1);

/// Longer than the 6 s after which Kafka gives a member up that is not heard of.
const LONGER_THAN_A_SESSION: Duration = Duration::from_secs(8);

/// The topics that are read by somebody.
const READ: [Topic; 4] = [topics::ORDERS, topics::RESERVATIONS, topics::PAYMENTS, topics::SHIPMENTS];

/// A letter that nobody can read, among the others.
#[derive(Debug)]
pub struct Poison;

impl FaultRow for Poison {
    fn name(&self) -> &'static str {
        "poison letter"
    }

    fn play<'a>(&'a self, scene: &'a mut Scene<'_>) -> LocalBoxFuture<'a, ()> {
        Box::pin(async {
            scene
                .strike(format!("poison letter on {}", topics::ORDERS.name()), async |world| {
                    let dead_before = dead(world).await;
                    let since = now();
                    // of a type that every follower of orders wants
                    let letters = letters::on(&world.kafka.kafka, topics::ORDERS).await;
                    let completed = letters.into_iter().find(|letter| letter.event_type == "order.completed");
                    let envelope = completed.expect("an order is completed");
                    let stranger = OrderId::new();
                    let poison =
                        Event { id: stranger.as_uuid(), subject: stranger.to_string(), sequence: 1, ..envelope };
                    letters::put(&world.kafka.kafka, topics::ORDERS, &poison, Some(b"\xff\xff garbage")).await;
                    eventually(DEAD_AFTER, "the letter is dead for every follower", async || {
                        dead(world).await == dead_before + FOLLOWERS
                    })
                    .await;
                    let lag = slowest_parcel(world, since).await;
                    let figure = format!("other keys' effects at most {:.2} s late", lag.as_secs_f64());
                    Outcome::of(lag < OTHERS_LAG_MAX, figure)
                })
                .await;
        })
    }
}

/// Every letter comes three times, the copies the wrong way round.
#[derive(Debug)]
pub struct EachLetterThrice;

impl FaultRow for EachLetterThrice {
    fn name(&self) -> &'static str {
        "each letter three times"
    }

    fn play<'a>(&'a self, scene: &'a mut Scene<'_>) -> LocalBoxFuture<'a, ()> {
        Box::pin(async {
            let most = scene.length.choose(200, 2_000);
            scene
                .strike("each letter three times, the copies in reverse order", async |world| {
                    let mut copies = 0;
                    for topic in READ {
                        let mut newest_first = letters::on(&world.kafka.kafka, topic).await;
                        newest_first.reverse();
                        newest_first.truncate(most);
                        let repeated = [newest_first.clone(), newest_first].concat();
                        copies += repeated.len();
                        letters::put_all(&world.kafka.kafka, topic, &repeated).await;
                    }
                    Outcome::Kept(format!("{copies} copies"))
                })
                .await;
        })
    }
}

/// A follower that cannot write for longer than its session, and one that stands still for so long.
#[derive(Debug)]
pub struct SlowFollower;

impl FaultRow for SlowFollower {
    fn name(&self) -> &'static str {
        "slow follower"
    }

    fn play<'a>(&'a self, scene: &'a mut Scene<'_>) -> LocalBoxFuture<'a, ()> {
        Box::pin(async {
            scene
                .strike("shipping's table locked for longer than its session", async |world| {
                    let mut lock = world.platform.database("shipping").begin().await.expect("a transaction");
                    let locked = sqlx::query("LOCK TABLE shipment IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await;
                    locked.expect("the owner may");
                    sleep(LONGER_THAN_A_SESSION).await;
                    lock.rollback().await.expect("it is let go");
                    caught_up(world).await
                })
                .await;
            scene
                .strike("shipping stands still for longer than its session", async |world| {
                    world.platform.pause("shipping");
                    sleep(LONGER_THAN_A_SESSION).await;
                    world.platform.resume("shipping");
                    caught_up(world).await
                })
                .await;
        })
    }
}

/// A second process of a follower comes and goes every few seconds.
#[derive(Debug)]
pub struct RebalanceStorm;

impl FaultRow for RebalanceStorm {
    fn name(&self) -> &'static str {
        "rebalance storm"
    }

    fn play<'a>(&'a self, scene: &'a mut Scene<'_>) -> LocalBoxFuture<'a, ()> {
        Box::pin(async {
            let (rounds, every) = (scene.length.choose(2, 6), Duration::from_secs(5));
            scene
                .strike("a second shipping joins and leaves every 5 s", async |world| {
                    let since = now();
                    for _ in 0..rounds {
                        let mut second = world.platform.second("shipping");
                        sleep(every).await;
                        second.stop().await.expect("it stops");
                        sleep(every).await;
                    }
                    let outcome = caught_up(world).await;
                    let lag = slowest_parcel(world, since).await;
                    match outcome {
                        Outcome::Kept(figure) => {
                            let figure = format!("parcels at most {:.1} s late; {figure}", lag.as_secs_f64());
                            Outcome::of(lag < every, figure)
                        }
                        broken @ Outcome::Broken(_) => broken,
                    }
                })
                .await;
        })
    }
}

/// How long it takes until every order that is completed now has its parcel.
async fn caught_up(world: &World) -> Outcome {
    const CAUGHT_UP_MAX: Duration = Duration::from_secs(20);
    let since = Instant::now();
    let until = now();
    let completed: Vec<String> = sqlx::query_scalar(
        "SELECT key FROM outbox WHERE event_type = 'order.completed' AND occurred_at <= $1::text::timestamptz",
    )
    .bind(until.to_string())
    .fetch_all(world.platform.database("orders"))
    .await
    .expect("order has its outbox");
    loop {
        let parcels: i64 =
            sqlx::query_scalar("SELECT count(*) FROM shipment WHERE order_id = ANY ($1::text[]::uuid[])")
                .bind(&completed)
                .fetch_one(world.platform.database("shipping"))
                .await
                .expect("shipping has its table");
        let missing = i64::try_from(completed.len()).expect("thousands") - parcels;
        let passed = since.elapsed();
        if missing == 0 {
            return Outcome::Kept(format!("caught up after {:.1} s", passed.as_secs_f64()));
        }
        if passed > CAUGHT_UP_MAX {
            return Outcome::Broken(format!("{missing} parcels missing {} s later", CAUGHT_UP_MAX.as_secs()));
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// The longest time since `since` from an order's completion to its parcel. Both databases are on one server, so one clock
/// tells both times.
async fn slowest_parcel(world: &World, since: jiff::Timestamp) -> Duration {
    let completed: Vec<(String, i64)> = sqlx::query_as(
        "SELECT key, (extract(epoch FROM inserted_at) * 1000)::bigint FROM outbox
         WHERE event_type = 'order.completed' AND inserted_at >= $1::text::timestamptz",
    )
    .bind(since.to_string())
    .fetch_all(world.platform.database("orders"))
    .await
    .expect("order has its outbox");
    let (ids, times): (Vec<String>, Vec<i64>) = completed.into_iter().unzip();
    let slowest: i64 = sqlx::query_scalar(
        "SELECT coalesce(max((extract(epoch FROM created_at) * 1000)::bigint - completed_ms), 0)
         FROM shipment JOIN unnest($1::text[]::uuid[], $2::bigint[]) AS completed (order_id, completed_ms) USING (order_id)",
    )
    .bind(&ids)
    .bind(&times)
    .fetch_one(world.platform.database("shipping"))
    .await
    .expect("shipping has its table");
    Duration::from_millis(u64::try_from(slowest).unwrap_or(0))
}

/// Letters that are dead, of all followers of orders.
async fn dead(world: &World) -> i64 {
    let mut count = 0;
    for database in ["inventory", "shipping", "notifications", "analytics"] {
        let found: i64 = sqlx::query_scalar("SELECT count(*) FROM consumer_parked WHERE state = 'dead'")
            .fetch_one(world.platform.database(database))
            .await
            .expect("the consumer's table is there");
        count += found;
    }
    count
}
