//! Every arrow of the saga's picture in `ARCHITECTURE.md` is travelled, by the whole platform.

use std::collections::BTreeSet;

use contracts::{
    event::{Event, Payload},
    events::v1::{ReservationRefused, ShipmentCreated},
    ids::OrderId,
    topics::{self, Topic},
};
use journeys::{
    customer::{Customer, new_key},
    letters,
    order_desk::place_by_letter,
    platform::Platform,
    repository,
};
use reqwest::Method;
use testkit::{SOON, eventually};

/// From, fact, to.
type Arrow = (String, String, String);

#[tokio::test]
async fn every_arrow_of_the_saga_is_travelled() {
    let platform = Platform::start_with(testkit::kafka(), &[("order", "DECIDE_LETTERS_WITHIN", "25")]).await;
    let (customer, operator) = (Customer::register(&platform).await, Customer::operator(&platform).await);

    // these end by themselves when their time is over; meanwhile the others travel
    let waits_for_stock = held_back(&platform, topics::RESERVATIONS, ReservationRefused::TYPE).await;
    place_by_letter(&platform, &customer, waits_for_stock, "tok_no_reply").await;
    let waits_for_payment = customer.order_by_letter(&new_key(), "mug", 1, "tok_no_reply").await.expect(202).order_id();

    customer.order(&new_key(), "mug", 1, "tok_visa").await.expect(201);
    customer.order(&new_key(), "mug", 1, "tok_declined").await.expect(402);
    customer.order(&new_key(), "mug", 1, "tok_nobody_has").await.expect(422);
    customer.order(&new_key(), "sold-out", 1, "tok_visa").await.expect(409);

    // payment's letter overtakes that of inventory
    for (card, status) in [("tok_visa", "COMPLETED"), ("tok_declined", "REJECTED"), ("tok_nobody_has", "REJECTED")] {
        let id = held_back(&platform, topics::RESERVATIONS, ReservationRefused::TYPE).await;
        place_by_letter(&platform, &customer, id, card).await;
        customer.order_with_status(&id.to_string(), status).await;
    }

    // cancelled before anything is known, while the charge is under way, and when all is done
    let id = held_back(&platform, topics::RESERVATIONS, ReservationRefused::TYPE).await;
    place_by_letter(&platform, &customer, id, "tok_no_reply").await;
    customer.cancel(&new_key(), &id.to_string()).await;
    customer.order_with_status(&id.to_string(), "CANCELLED").await;
    let id = customer.order_by_letter(&new_key(), "mug", 1, "tok_no_reply").await.expect(202).order_id();
    eventually(SOON, "the stock is held", async || customer.read_order(&id).await["payment"]["status"] == "PENDING")
        .await;
    customer.cancel(&new_key(), &id).await;
    customer.order_with_status(&id, "CANCELLED").await;
    let id = customer.order_a_mug().await.expect(201).order_id();
    customer.cancel(&new_key(), &id).await;
    customer.order_with_status(&id, "CANCELLED").await;

    // cancelled after the parcel left, before order heard of it
    let id = held_back(&platform, topics::SHIPMENTS, ShipmentCreated::TYPE).await;
    place_by_letter(&platform, &customer, id, "tok_visa").await;
    let id = id.to_string();
    customer.order_with_status(&id, "COMPLETED").await;
    eventually(SOON, "the parcel leaves", async || {
        operator.send(Method::POST, &format!("/v1/orders/{id}/dispatch"), None, None).await.status.is_success()
    })
    .await;
    let refused = customer.cancel(&new_key(), &id).await.expect(409);
    assert_eq!(refused.json()["code"], "already-dispatched");
    assert_eq!(customer.read_order(&id).await["shipment"]["status"], "DISPATCHED");

    // paid, and then there is nobody any more who could say where it goes
    let homeless = Customer::register_without_address(&platform).await;
    let id = homeless.order_a_mug().await.expect(201).order_id();
    homeless.erase().await;
    homeless.order_with_status(&id, "CANCELLED").await;

    for id in [waits_for_stock.to_string(), waits_for_payment] {
        customer.order_with_status(&id, "REJECTED").await;
    }
    let (drawn, travelled) = (drawn(), travelled(&platform).await);
    assert!(drawn.len() > 15, "the picture was read");
    assert_eq!(travelled, drawn, "left: what was travelled; right: what is drawn");
}

/// An order whose letters on `topic` order cannot hear: one of that type that cannot be read lies before them, and later
/// letters of a key wait behind the one that is parked.
async fn held_back(platform: &Platform, topic: Topic, event_type: &str) -> OrderId {
    let id = OrderId::new();
    let now = "2026-11-21T09:00:00Z".parse().expect("a time");
    let mut letter = Event::new(topic, id.to_string(), 1, now, &ShipmentCreated::default());
    event_type.clone_into(&mut letter.event_type);
    letters::put(&platform.kafka, topic, &letter, Some(b"\xff")).await;
    eventually(SOON, "the letter is parked", async || {
        sqlx::query_scalar::<_, bool>("SELECT EXISTS (SELECT FROM consumer_parked WHERE key = $1 AND \"group\" = $2)")
            .bind(id.to_string().as_bytes())
            .bind("order.saga")
            .fetch_one(platform.database("orders"))
            .await
            .expect("order has its table")
    })
    .await;
    id
}

/// What order has counted. That a step was kept as well is what each story looks at.
async fn travelled(platform: &Platform) -> BTreeSet<Arrow> {
    let metrics = reqwest::get(format!("{}/metrics", platform.ops_url("order"))).await.expect("order answers");
    let metrics = metrics.text().await.expect("it answers whole");
    let label = |line: &str, name: &str| {
        let (_, rest) = line.split_once(&format!("{name}=\"")).expect("the label is there");
        rest.split('"').next().expect("it ends").to_owned()
    };
    let steps = metrics.lines().filter(|line| line.starts_with("order_steps_heard_total{"));
    steps.map(|line| (label(line, "from"), label(line, "fact"), label(line, "to"))).collect()
}

/// What the picture shows.
fn drawn() -> BTreeSet<Arrow> {
    let text = std::fs::read_to_string(repository::root().join("ARCHITECTURE.md")).expect("it is there");
    let picture = text.split("stateDiagram-v2\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a picture");
    let mut arrows = BTreeSet::new();
    for line in picture.lines().filter(|line| !line.contains("[*]")) {
        let Some((from, rest)) = line.trim().split_once(" --> ") else { continue };
        let (to, facts) = rest.split_once(": ").expect("an arrow has its facts");
        arrows.extend(facts.split(", ").map(|fact| (from.to_owned(), fact.to_owned(), to.to_owned())));
    }
    arrows
}
