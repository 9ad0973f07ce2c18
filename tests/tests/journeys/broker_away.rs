//! Kafka is away while customers order.

use std::collections::HashMap;

use contracts::{event::Event, topics};
use journeys::{customer::Customer, letters, platform::Platform};
use testkit::{SOON, eventually};

#[tokio::test]
async fn orders_are_taken_without_kafka_and_their_letters_arrive_later_in_order_none_missing() {
    let mut kafka = testkit::own_kafka(1).await;
    let platform = Platform::start_with(kafka.kafka.clone(), &[]).await;
    let customer = Customer::register(&platform).await;
    let mut ids = vec![customer.order_a_mug().await.expect(201).order_id()];

    kafka.server.kill().await.expect("it can be killed");
    for _ in 0..20 {
        ids.push(customer.order_a_mug().await.expect(201).order_id());
    }
    for service in ["order", "shipping", "gateway"] {
        let ready = reqwest::get(format!("{}/readyz", platform.ops_url(service))).await.expect("it answers");
        assert!(ready.status().is_success(), "{service} does not need Kafka to be ready");
    }
    kafka.server.start().await.expect("it can be started");

    for id in &ids {
        eventually(SOON * 3, "each order has a shipment", async || {
            customer.read_order(id).await["shipment"].is_object()
        })
        .await;
    }
    let told = async || {
        let mut by_order: HashMap<String, Vec<i64>> = HashMap::new();
        for letter in first_occurrences(letters::on(&platform.kafka, topics::ORDERS).await) {
            by_order.entry(letter.subject).or_default().push(letter.sequence);
        }
        by_order
    };
    eventually(SOON, "every order's three letters have arrived", async || {
        let told = told().await;
        ids.iter().all(|id| told.get(id).is_some_and(|sequences| sequences == &[1, 2, 3]))
    })
    .await;
    assert_eq!(told().await.len(), ids.len());
}

/// A letter may be repeated; what counts is when it came first.
fn first_occurrences(letters: Vec<Event>) -> Vec<Event> {
    let mut seen = std::collections::HashSet::new();
    letters.into_iter().filter(|letter| seen.insert(letter.id)).collect()
}
