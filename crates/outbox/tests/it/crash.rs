//! The relay's process is killed.

use testkit::{SOON, eventually};

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_is_killed_again_and_again_loses_no_letter_and_keeps_the_order() {
    let world = World::new().await;
    let writers = world.start_writers(4);
    for kill in 1..=8 {
        let before = world.done().await;
        let mut relay = world.spawn_relay();
        eventually(SOON, "it publishes", async || world.epoch().await == kill && world.done().await > before).await;
        relay.kill().await.unwrap();
    }
    writers.stop().await;
    let last = world.start_relay();
    world.everything_arrives_in_order().await;
    last.stop().await;
}
