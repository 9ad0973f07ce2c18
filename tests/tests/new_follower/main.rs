//! `docs/tour/a-new-follower.md` is true: its files are all there is to a new follower, and do what it says.

mod checkout;
mod recipe;
mod up;

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use contracts::{
    event::{Event, Payload},
    events::v1::OrderCompleted,
    topics::ORDERS,
};
use journeys::{letters, repository};
use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord, future_producer::Delivery},
};
use serde_json::json;
use sqlx::PgPool;
use testkit::{SOON, TestKafka, eventually};
use uuid::Uuid;

use checkout::Checkout;
use recipe::File;
use up::Platform;

/// All files of the follower together have fewer lines, blank ones included.
const LINES: usize = 60;

fn files() -> Vec<File> {
    recipe::files(&repository::text(&repository::root().join("docs/tour/a-new-follower.md")))
}

#[test]
fn a_new_follower_is_two_folders_and_under_sixty_lines() {
    let files = files();
    let folders: BTreeSet<PathBuf> = files.iter().map(|file| file.path.iter().take(2).collect()).collect();
    assert_eq!(folders, BTreeSet::from(["migrations/loyalty".into(), "services/loyalty".into()]));
    let lines: usize = files.iter().map(|file| file.text.lines().count()).sum();
    assert!(lines < LINES, "{lines} lines: {files:#?}");
}

#[tokio::test]
async fn a_follower_from_the_page_is_found_by_up_and_gives_points_once() {
    let checkout = Checkout::with(&files());
    checkout.build("loyalty").await;
    assert_lock_gained_only("loyalty", &checkout);

    let platform = Platform::up(&checkout);
    let loyalty = platform.service("loyalty");
    assert_eq!((&loyalty["ready"], &loyalty["url"]), (&json!(true), &json!(null)), "{loyalty}");

    let order = platform.postbox(&["order", "--sku", "mug", "--quantity", "2"]);
    assert_eq!((&order["status"], &order["total"]["amount_minor"]), (&json!("COMPLETED"), &json!(2_500)), "{order}");
    let id = order["order_id"].as_str().expect("text");
    let database = platform.database("loyalty");
    eventually(SOON, "the order has its points", async || points(&database, id).await == [25]).await;

    let kafka = platform.kafka();
    let letters = letters::of(&kafka, ORDERS, id).await;
    let completed = letters.iter().find(|letter| letter.event_type == OrderCompleted::TYPE).expect("it has points");
    let again = send(&kafka, completed).await;
    eventually(SOON, "loyalty is past the letter that came again", async || {
        position(&database, again.partition).await > again.offset
    })
    .await;
    assert_eq!(points(&database, id).await, [25]);
    let metrics = reqwest::get(format!("{}/metrics", loyalty["ops_url"].as_str().expect("text"))).await;
    let metrics = metrics.expect("loyalty answers").text().await.expect("it is text");
    let applied = r#"consumer_events_total{group="loyalty.award-points",topic="#;
    assert!(metrics.contains(applied), "{metrics}");
}

/// The reader's `cargo build` notes the new package, and nothing else: no version moved.
fn assert_lock_gained_only(package: &str, checkout: &Checkout) {
    let packages = |root: PathBuf| -> BTreeSet<String> {
        repository::text(&root.join("Cargo.lock")).split("\n\n").map(|entry| entry.trim().to_owned()).collect()
    };
    let (before, after) = (packages(repository::root()), packages(checkout.root().to_owned()));
    let gained: Vec<_> = after.difference(&before).collect();
    assert_eq!(gained.len(), 1, "{gained:#?}");
    assert!(gained[0].contains(&format!("name = \"{package}\"")), "{gained:#?}");
    assert!(before.is_subset(&after), "{:#?}", before.difference(&after));
}

/// The points that were given for an order, one number for each time.
async fn points(database: &PgPool, order: &str) -> Vec<i64> {
    let order = Uuid::try_parse(order).expect("an order's id");
    let points = sqlx::query_scalar("SELECT points FROM points WHERE order_id = $1").bind(order).fetch_all(database);
    points.await.expect("loyalty has its table")
}

/// The first offset that has had no effect yet.
async fn position(database: &PgPool, partition: i32) -> i64 {
    let position = "SELECT next FROM consumer_position WHERE topic = $1 AND partition = $2";
    let position = sqlx::query_scalar(position).bind(ORDERS.name()).bind(partition);
    position.fetch_one(database).await.expect("it has read the first one")
}

/// Sends a letter once more, and tells where it lies.
async fn send(kafka: &TestKafka, letter: &Event) -> Delivery {
    let mut settings = ClientConfig::new();
    settings.set("bootstrap.servers", &kafka.bootstrap).set("partitioner", "murmur2_random");
    let producer: FutureProducer = settings.create().expect("the settings are right");
    let headers = letter.to_headers();
    let headers =
        headers.iter().fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(value) }));
    let record = FutureRecord::to(ORDERS.name()).key(&letter.subject).payload(&letter.payload).headers(headers);
    producer.send(record, Duration::from_secs(10)).await.expect("the broker takes it")
}
