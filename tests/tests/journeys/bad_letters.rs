//! Letters that nobody should have written, on every topic that is consumed: each ends as `proto/README.md` says, and what
//! is about other keys goes on.

use std::time::Duration;

use contracts::{
    event::{Event, Payload},
    events::v1 as payloads,
    ids::OrderId,
    topics::{self, Topic},
};
use journeys::{
    customer::{Customer, new_key},
    letters,
    platform::Platform,
    repository,
};
use postbox::manifest;
use testkit::{SOON, eventually};

/// Five tries in about 30 s, and room for a busy machine.
const DEAD: Duration = Duration::from_secs(90);

/// For each topic that a service reads, a type that all its consumers want.
const WANTED: [(Topic, &str); 5] = [
    (topics::ORDERS, payloads::OrderCompleted::TYPE),
    (topics::RESERVATIONS, payloads::ReservationHeld::TYPE),
    (topics::PAYMENTS, payloads::PaymentCaptured::TYPE),
    (topics::ACCOUNTS, payloads::AccountAddressChanged::TYPE),
    (topics::SHIPMENTS, payloads::ShipmentDispatched::TYPE),
];

#[tokio::test]
async fn bad_letters_on_every_topic_are_dead_lettered_or_passed_by_and_all_else_flows() {
    assert_eq!(WANTED.map(|(topic, _)| topic).to_vec(), consumed(), "a new topic belongs into this test");
    let platform = Platform::start().await;
    let customer = Customer::register(&platform).await;

    for (topic, event_type) in WANTED {
        let (garbage, null, unknown) = (letter(topic, event_type), letter(topic, event_type), letter(topic, "no.such"));
        letters::put(&platform.kafka, topic, &garbage, Some(b"\xff\xff not protobuf")).await;
        letters::put(&platform.kafka, topic, &null, None).await;
        letters::put(&platform.kafka, topic, &unknown, Some(b"whatever a later version says")).await;
    }

    // a later version of a letter has fields that nobody knows yet: read without them
    let id = customer.order_a_mug().await.expect(201).order_id();
    let known = letters_with_type(&platform, topics::ORDERS, &id, payloads::OrderCompleted::TYPE).await;
    let newer = Event { id: known.id, ..known.clone() };
    let with_more = [known.payload.as_slice(), b"\xfa\x3e\x05later"].concat(); // field 1007, a string
    letters::put(&platform.kafka, topics::ORDERS, &newer, Some(&with_more)).await;

    // other keys flow, through both doors
    for _ in 0..3 {
        customer.order_a_mug().await.expect(201);
        let id = customer.order_by_letter(&new_key(), "mug", 1, "tok_visa").await.expect(202).order_id();
        customer.order_with_status(&id, "COMPLETED").await;
        eventually(SOON, "its parcel is told", async || customer.read_order(&id).await["shipment"].is_object()).await;
    }

    for manifest in manifest::read_all(&repository::root().join("services")).expect("the manifests are right") {
        let Some(database) = manifest.database.as_deref().filter(|_| !manifest.consumes.is_empty()) else { continue };
        // garbage and null of each topic, once each; the newer letter and the unknown types are not among them
        let expected: Vec<(String, i64)> = {
            let mut topics = manifest.consumes.clone();
            topics.sort();
            topics.into_iter().map(|topic| (topic, 2)).collect()
        };
        eventually(DEAD, &format!("the bad letters of {} are dead, and no other", manifest.name), async || {
            let dead: Vec<(String, i64)> = sqlx::query_as(
                "SELECT topic, count(*) FILTER (WHERE state = 'dead') FROM consumer_parked GROUP BY topic ORDER BY topic",
            )
            .fetch_all(platform.database(database))
            .await
            .expect("a consumer has its tables");
            dead == expected
        })
        .await;
        let parked: i64 = sqlx::query_scalar("SELECT count(*) FROM consumer_parked")
            .fetch_one(platform.database(database))
            .await
            .expect("a consumer has its tables");
        assert_eq!(parked, i64::try_from(2 * manifest.consumes.len()).expect("few"), "{}", manifest.name);
        let ready = reqwest::get(format!("{}/readyz", platform.ops_url(&manifest.name))).await.expect("it answers");
        assert!(ready.status().is_success(), "{} is as ready as before", manifest.name);
    }
}

/// Every topic that a manifest says is consumed.
fn consumed() -> Vec<Topic> {
    let manifests = manifest::read_all(&repository::root().join("services")).expect("the manifests are right");
    let is_consumed = |topic: &Topic| manifests.iter().any(|it| it.consumes.iter().any(|name| name == topic.name()));
    topics::ALL.into_iter().filter(is_consumed).collect()
}

fn letter(topic: Topic, event_type: &str) -> Event {
    let now = "2026-11-21T09:00:00Z".parse().expect("a time");
    let mut letter = Event::new(topic, OrderId::new().to_string(), 1, now, &payloads::OrderCreated::default());
    event_type.clone_into(&mut letter.event_type);
    letter
}

async fn letters_with_type(platform: &Platform, topic: Topic, subject: &str, event_type: &str) -> Event {
    testkit::eventually_some(SOON, "the letter is published", async || {
        let letters = letters::of(&platform.kafka, topic, subject).await;
        letters.into_iter().find(|letter| letter.event_type == event_type)
    })
    .await
}
