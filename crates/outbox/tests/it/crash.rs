//! The relay's process is killed.

use testkit::{SOON, eventually};

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_is_killed_again_and_again_loses_no_letter_and_keeps_the_order() {
    let world = World::new().await;
    let mut writers = world.start_writers(6, 150);
    for kill in 1..=8 {
        let mut relay = world.spawn_relay();
        let before = world.floor().await;
        eventually(SOON, "it publishes", async || world.epoch().await >= kill && world.floor().await > before).await;
        relay.kill().await.unwrap();
    }
    while writers.join_next().await.is_some() {}
    let last = world.start_relay();
    world.everything_arrives_in_order().await;
    last.stop().await;
}
