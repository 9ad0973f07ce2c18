//! How much waits in the outbox.

use testkit::{SOON, ask, eventually};

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn letters_that_wait_are_counted_with_the_age_of_the_oldest_until_they_are_published() {
    let world = World::new().await;
    let routes = outbox::admin::routes(world.database.app.clone());
    let lag = async || {
        let (status, lag) = ask(&routes, "GET", "/lag/outbox").await;
        assert_eq!(status, 200, "{lag}");
        (lag["lag_messages"].as_i64().unwrap(), lag["lag_seconds"].as_f64().unwrap())
    };
    assert_eq!(lag().await, (0, 0.0));
    for key in ["a", "b", "a"] {
        world.write(key).await;
    }
    let (letters, age) = lag().await;
    assert_eq!(letters, 3);
    assert!(age > 0.0 && age < SOON.as_secs_f64(), "{age}");
    let (_, older) = lag().await;
    assert!(older > age);

    let relay = world.start_relay();
    eventually(SOON, "nothing waits", async || lag().await == (0, 0.0)).await;
    relay.stop().await;
    world.write("a").await;
    assert_eq!(lag().await.0, 1, "what was published before is not counted again");
}
