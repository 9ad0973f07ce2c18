//! When nothing is done.

use service_runtime::Error;
use sqlx::{Connection, PgConnection};
use testkit::TestKafka;

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn while_a_process_is_connected_nothing_is_changed() {
    let world = World::new().await;
    world.write(&["a"], 1..=3).await;
    sqlx::query("UPDATE outbox_progress SET floor = 3").execute(&world.database.owner).await.unwrap();

    let process = PgConnection::connect(&world.database.app_url).await.unwrap();
    let refused = world.fail_over(None).await.unwrap_err();
    assert!(
        matches!(&refused, Error::TryAgain(reason) if reason.starts_with("a process of test is connected")),
        "{refused}"
    );
    assert_eq!(world.state().await.0, 3);
    assert_eq!(world.noted().await, [""; 0]);

    process.close().await.unwrap();
    let reader = PgConnection::connect(&world.database.audit_url).await.unwrap();
    world.fail_over(None).await.unwrap();
    assert_eq!(world.state().await.0, 0, "who only reads is in nobody's way");
    assert_eq!(world.noted().await, ["command line fail-over service/test: 3 letters"]);
    reader.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kafka_without_the_topics_or_none_at_all_is_refused() {
    let world = World::new().await;
    world.write(&["a"], 1..=3).await;
    let process = world.serve(&world.first).await;
    testkit::eventually(testkit::SOON, "all are read", async || world.number("SELECT count(*) FROM effect").await == 3)
        .await;
    process.stop().await;
    let before = world.state().await;

    let empty = testkit::kafka();
    let refused = world.fail_over_to(&empty, None).await.unwrap_err();
    assert!(
        matches!(&refused, Error::Unreachable(reason) if reason.contains("there is no partition 0 of")),
        "{refused}"
    );
    let [nobody] = testkit::free_addresses();
    let nobody = TestKafka { bootstrap: nobody.to_string(), namespace: String::new() };
    let refused = world.fail_over_to(&nobody, None).await.unwrap_err();
    assert!(matches!(&refused, Error::Unreachable(reason) if reason.ends_with("is that Kafka up?")), "{refused}");
    assert_eq!(world.state().await, before);
}
