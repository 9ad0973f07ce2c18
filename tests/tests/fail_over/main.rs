//! `docs/tour/fail-over.md` is true: all brokers are lost, and its commands let the platform go on with the copies. Nothing that was
//! acknowledged is lost, and nothing has its effect twice.

mod mirror;
mod page;

use std::{
    collections::{BTreeSet, HashSet},
    time::Duration,
};

use contracts::{
    event::Payload,
    events::v1::OrderCompleted,
    topics::{self, HIGH_VALUE_ORDERS, ORDERS, PARTITIONS},
};
use journeys::{
    command_line::CommandLine,
    customer::{Customer, new_key},
    letters,
    platform::Platform,
    repository,
    shoppers::Shoppers,
};
use postbox::manifest;
use serde_json::Value;
use testkit::{SOON, TestKafka, eventually, own_kafka};
use uuid::Uuid;

use mirror::Mirror;
use page::Page;

/// How long each customer looks around between two orders.
const LOOKING_AROUND: Duration = Duration::from_secs(3);

/// MirrorMaker is slow to begin on a machine that runs all tests at once.
const MIRRORED: Duration = Duration::from_mins(2);

#[test]
fn the_page_names_every_service_that_knows_kafka() {
    let manifests = manifest::read_all(&repository::root().join("services")).expect("the manifests are right");
    let knows_kafka = manifests.iter().filter(|it| !it.topics.is_empty() || !it.consumes.is_empty());
    let named: BTreeSet<String> = Page::read().services.into_iter().collect();
    assert_eq!(named, knows_kafka.map(|manifest| manifest.name.clone()).collect());
}

#[tokio::test]
async fn when_the_brokers_are_lost_the_platform_goes_on_with_the_copies_and_no_letter_is_lost_or_counts_twice() {
    let page = Page::read();
    let (mut first, second) = tokio::join!(own_kafka(1), own_kafka(1));
    for topic in topics::ALL {
        first.kafka.create_topic(topic.name(), PARTITIONS).await;
    }
    mirror::shift(&first.kafka).await;
    let mut mirror = Mirror::start(&first.kafka, &second.kafka).await;
    // every order is of high value here
    let settings = [("analytics", "HIGH_VALUE_FROM_MINOR", "1")];
    let mut platform = Platform::start_with(first.kafka.clone(), &settings).await;
    let customer = Customer::register(&platform).await;
    let shoppers = Shoppers::enter(&platform, LOOKING_AROUND).await;
    let seen = customer.order_a_mug().await.expect(201).order_id();
    eventually(SOON, "it is published", async || is_told(&first.kafka, &seen).await).await;
    let lying = ids(&first.kafka).await;
    eventually(MIRRORED, "what lies there is copied, from the first letter on", async || {
        mirror::has_topics(&second.kafka).await && lying.is_subset(&ids(&second.kafka).await)
    })
    .await;

    // the copy falls behind, and the first Kafka acknowledges, and everybody reads, what will never be in it
    mirror.pause();
    let by_telephone = customer.order_a_mug().await.expect(201).order_id();
    let by_letter = customer.order_by_letter(&new_key(), "mug", 1, "tok_visa").await.expect(202).order_id();
    for id in [&by_telephone, &by_letter] {
        customer.order_with_status(id, "COMPLETED").await;
        eventually(SOON, "it is published", async || is_told(&first.kafka, id).await).await;
        eventually(SOON, "it is read", async || customer.read_order(id).await["shipment"].is_object()).await;
    }
    mirror.kill().await;
    first.server.kill().await.expect("they can be killed");
    drop(first);
    for id in [&by_telephone, &by_letter] {
        assert!(letters::of(&second.kafka, ORDERS, id).await.is_empty(), "the copy has letters of {id}");
    }

    // there is no Kafka now
    let mut waiting = Vec::new();
    for _ in 0..5 {
        waiting.push(customer.order_a_mug().await.expect(201).order_id());
        let by_letter = customer.order_by_letter(&new_key(), "mug", 1, "tok_visa").await;
        waiting.push(by_letter.expect(202).order_id());
    }

    let command: Vec<&str> = page.command.iter().map(String::as_str).collect();
    platform.kafka = second.kafka.clone();
    for service in &page.services {
        platform.stop(service).await;
        platform.set(service, "KAFKA_BOOTSTRAP_SERVERS", Some(second.kafka.bootstrap.clone()));
        platform.run_as_owner(service, &command).await;
        platform.start_again(service).await;
    }

    let afterwards = customer.order_by_letter(&new_key(), "mug", 1, "tok_visa").await.expect(202).order_id();
    let mut orders = shoppers.leave().await;
    orders.extend([seen, by_telephone, by_letter, afterwards].into_iter().chain(waiting));
    all_end(&platform, orders.len()).await;
    everybody_has_every_order_once(&platform).await;
    keeps_every_promise(&platform).await;
    high_value_orders_are_all_there(&platform).await;
}

/// Whether the topic of orders says that this one was completed.
async fn is_told(kafka: &TestKafka, order: &str) -> bool {
    letters::of(kafka, ORDERS, order).await.iter().any(|letter| letter.event_type == OrderCompleted::TYPE)
}

/// The letters on all topics.
async fn ids(kafka: &TestKafka) -> HashSet<Uuid> {
    let mut ids = HashSet::new();
    for topic in topics::ALL {
        ids.extend(letters::on(kafka, topic).await.into_iter().map(|letter| letter.id));
    }
    ids
}

/// Every order that was acknowledged, and there are so many at the least, comes to its end.
async fn all_end(platform: &Platform, acknowledged: usize) {
    let acknowledged = i64::try_from(acknowledged).expect("few orders");
    assert!(number(platform, "orders", "SELECT count(*) FROM orders").await >= acknowledged, "an order is lost");
    let under_way =
        "SELECT count(*) FROM orders WHERE saga_state NOT IN ('COMPLETED', 'REJECTED', 'CANCELLED', 'REFUNDED')";
    eventually(SOON * 4, "every order has ended", async || number(platform, "orders", under_way).await == 0).await;
}

/// What followers keep of completed orders, against what order has written in its own outbox.
async fn everybody_has_every_order_once(platform: &Platform) {
    let completed = "SELECT count(*) FROM outbox WHERE event_type = 'order.completed'";
    let completed = number(platform, "orders", completed).await;
    let effects = [
        ("shipping", "SELECT count(*) FROM shipment"),
        ("notifications", "SELECT count(*) FROM message WHERE event_type = 'order.completed'"),
        ("analytics", "SELECT sum(orders)::bigint FROM sales_minute"),
        ("analytics", "SELECT sum(quantity)::bigint FROM product_minute"),
    ];
    for (database, effect) in effects {
        eventually(SOON * 3, &format!("{completed} orders: {effect}"), async || {
            number(platform, database, effect).await == completed
        })
        .await;
    }
}

/// Made of the copies and of what was published again: each completed order at least once, under one id.
async fn high_value_orders_are_all_there(platform: &Platform) {
    let completed: Vec<String> = sqlx::query_scalar("SELECT key FROM outbox WHERE event_type = 'order.completed'")
        .fetch_all(platform.database("orders"))
        .await
        .expect("order has its outbox");
    let completed: HashSet<String> = completed.into_iter().collect();
    eventually(SOON * 2, "the stream has made a letter of each order", async || {
        let letters = letters::on(&platform.kafka, HIGH_VALUE_ORDERS).await;
        let ids: HashSet<_> = letters.iter().map(|letter| letter.id).collect();
        let subjects: HashSet<String> = letters.into_iter().map(|letter| letter.subject).collect();
        subjects == completed && ids.len() == completed.len()
    })
    .await;
}

async fn keeps_every_promise(platform: &Platform) {
    let said = CommandLine::of(platform).start(&["audit", "--json"]).result().await;
    let report: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("the audit told nothing: {said}"));
    let rows = report["items"].as_array().expect("a row for each promise");
    assert_eq!(rows.len(), 16);
    for row in rows {
        assert_eq!(row["violations"], 0, "{row}");
    }
}

async fn number(platform: &Platform, database: &str, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(platform.database(database)).await.expect("the tables are there")
}
