//! The servers are away: Postgres, Kafka, one of three brokers.

use std::time::Duration;

use futures::future::LocalBoxFuture;
use tokio::time::{Instant, sleep};

use crate::faults::{
    FaultRow, Length, Wishes, rest,
    scene::{Outcome, Scene},
    world::World,
};

/// Whatever waits while Kafka is away has left so soon after it is back.
const DRAIN_MAX: Duration = Duration::from_secs(10);

/// No orders are published for no longer than this when one of three brokers is killed: the brokers miss it after 9 s
/// (`broker.session.timeout.ms`), then others lead its partitions.
const ELECTION_MAX: Duration = Duration::from_secs(12);

/// How often the relay's progress is looked at.
const POLL: Duration = Duration::from_millis(50);

/// Postgres is restarted in good order, then killed and started.
#[derive(Debug)]
pub struct PostgresRestart;

impl FaultRow for PostgresRestart {
    fn name(&self) -> &'static str {
        "Postgres restart"
    }

    fn play<'a>(&'a self, scene: &'a mut Scene<'_>) -> LocalBoxFuture<'a, ()> {
        Box::pin(async {
            scene
                .strike("Postgres restart", async |world| {
                    world.postgres.server.stop().await.expect("it stops");
                    world.postgres.server.start().await.expect("it starts");
                    Outcome::nothing_else()
                })
                .await;
            scene
                .strike("kill -9 of Postgres", async |world| {
                    world.postgres.server.kill().await.expect("it can be killed");
                    world.postgres.server.start().await.expect("it starts");
                    Outcome::nothing_else()
                })
                .await;
        })
    }
}

/// Kafka is away: orders are taken all the same, and their letters wait.
#[derive(Debug)]
pub struct BrokerAway;

impl FaultRow for BrokerAway {
    fn name(&self) -> &'static str {
        "broker down"
    }

    fn wishes(&self, length: Length) -> Wishes {
        let mut wishes = Wishes::usual(length);
        wishes.load.rate = length.choose(wishes.load.rate, 200);
        wishes
    }

    fn play<'a>(&'a self, scene: &'a mut Scene<'_>) -> LocalBoxFuture<'a, ()> {
        Box::pin(async {
            let time = Duration::from_secs(scene.length.choose(8, 60));
            scene
                .strike(format!("broker down for {} s", time.as_secs()), async |world| {
                    world.kafka.server.kill().await.expect("it can be killed");
                    sleep(time).await;
                    world.kafka.server.start().await.expect("it starts");
                    drained(world).await
                })
                .await;
        })
    }
}

/// Kafka is restarted; then every service is started while it is away.
#[derive(Debug)]
pub struct BrokerRestart;

impl FaultRow for BrokerRestart {
    fn name(&self) -> &'static str {
        "broker restart and broker down at start"
    }

    fn play<'a>(&'a self, scene: &'a mut Scene<'_>) -> LocalBoxFuture<'a, ()> {
        Box::pin(async {
            scene
                .strike("broker restart", async |world| {
                    world.kafka.server.stop().await.expect("it stops");
                    world.kafka.server.start().await.expect("it starts");
                    drained(world).await
                })
                .await;
            scene
                .strike("every service started while the broker is down", async |world| {
                    world.kafka.server.kill().await.expect("it can be killed");
                    for service in world.platform.names() {
                        world.platform.stop(&service).await;
                        world.platform.start_again(&service).await;
                    }
                    world.kafka.server.start().await.expect("it starts");
                    drained(world).await
                })
                .await;
        })
    }
}

/// One of three brokers is killed, and comes back.
#[derive(Debug)]
pub struct OneBrokerOfThree;

impl FaultRow for OneBrokerOfThree {
    fn name(&self) -> &'static str {
        "one of three brokers killed"
    }

    fn wishes(&self, length: Length) -> Wishes {
        Wishes { brokers: 3, ..Wishes::usual(length) }
    }

    fn play<'a>(&'a self, scene: &'a mut Scene<'_>) -> LocalBoxFuture<'a, ()> {
        Box::pin(async {
            let time = Duration::from_secs(scene.length.choose(12, 30));
            scene
                .strike("kill -9 of one of three brokers", async |world| {
                    world.kafka.server.kill_broker(0).await.expect("it can be killed");
                    let gap = longest_silence(world, time).await;
                    let figure = format!("published again after {:.1} s at the most", gap.as_secs_f64());
                    Outcome::of(gap <= ELECTION_MAX, figure)
                })
                .await;
            scene
                .strike("the broker is back", async |world| {
                    world.kafka.server.start().await.expect("it starts");
                    drained(world).await
                })
                .await;
        })
    }
}

/// How long after Kafka is back all letters that have waited are published.
async fn drained(world: &World) -> Outcome {
    let back = Instant::now();
    let newest = rest::newest_letter(world).await;
    let waited = rest::unpublished_up_to(world, newest).await;
    let mut first = None;
    while back.elapsed() < DRAIN_MAX {
        let waiting = rest::unpublished_up_to(world, newest).await;
        if first.is_none() && waiting < waited {
            first = Some(back.elapsed());
        }
        if waiting == 0 {
            let (first, all) = (first.unwrap_or_default().as_secs_f64(), back.elapsed().as_secs_f64());
            let figure =
                format!("{waited} letters had waited: the first left after {first:.1} s, all after {all:.1} s");
            return Outcome::Kept(figure);
        }
        sleep(POLL).await;
    }
    let left = rest::unpublished_up_to(world, newest).await;
    Outcome::Broken(format!("{left} letters still waited {} s after the broker was back", DRAIN_MAX.as_secs()))
}

/// The longest time in which no letter of an order was published.
async fn longest_silence(world: &World, during: Duration) -> Duration {
    let began = Instant::now();
    let (mut longest, mut since, mut last) = (Duration::ZERO, began, rest::published(world).await);
    while began.elapsed() < during {
        sleep(POLL).await;
        let published = rest::published(world).await;
        longest = longest.max(since.elapsed());
        if published > last {
            (since, last) = (Instant::now(), published);
        }
    }
    longest
}
