//! Operators at the command line: dead letters, lag, and orders that wait.

use std::{fmt::Display, time::Duration};

use contracts::{
    event::{Event, Payload},
    events::v1::ShipmentCreated,
    ids::OrderId,
    shipping::v1::{Shipment, ShipmentStatus},
    topics,
};
use journeys::{
    command_line::CommandLine,
    customer::{Customer, new_key},
    letters,
    locks::Lock,
    order_desk::place_by_letter,
    platform::Platform,
};
use serde_json::Value;
use testkit::{SOON, eventually, eventually_some};

/// Five tries in about 30 s, and room for a busy machine.
const DEAD: Duration = Duration::from_secs(90);

/// The dead letter of a group about an order.
pub async fn dead(cli: &CommandLine, group: &str, order: impl Display) -> Value {
    eventually_some(DEAD, &format!("a letter about {order} is dead for {group}"), async || {
        let all = cli.items(&["dlq", "list"]).await;
        all.into_iter().find(|letter| letter["group"] == group && letter["key"] == order.to_string())
    })
    .await
}

fn shipment_created(order: OrderId) -> Event {
    let shipment = Shipment {
        order_id: order.to_string(),
        status: ShipmentStatus::AwaitingAddress.into(),
        version: 1,
        ..Shipment::default()
    };
    let now = "2026-11-21T09:00:00Z".parse().expect("a time");
    Event::new(topics::SHIPMENTS, order.to_string(), 1, now, &ShipmentCreated { shipment: Some(shipment) })
}

#[tokio::test]
async fn a_dead_letter_is_found_looked_at_and_redriven_or_discarded() {
    let mut platform = Platform::start().await;
    let cli = CommandLine::of(&platform);
    let customer = Customer::register(&platform).await;
    // one comes before its order, which is mended by the order; one cannot be read, which is never mended
    let (early, garbage) = (OrderId::new(), OrderId::new());
    letters::put(&platform.kafka, topics::SHIPMENTS, &shipment_created(early), Some(&shipment_created(early).payload))
        .await;
    letters::put(&platform.kafka, topics::SHIPMENTS, &shipment_created(garbage), Some(b"\xff")).await;
    let (early_letter, garbage_letter) =
        tokio::join!(dead(&cli, "order.saga", early), dead(&cli, "order.saga", garbage));

    // the later letters of both keys wait, and nobody else's
    for order in [early, garbage] {
        place_by_letter(&platform, &customer, order, "tok_visa").await;
        customer.order_with_status(&order.to_string(), "COMPLETED").await;
    }
    let other = customer.order_a_mug().await.expect(201).order_id();
    eventually(SOON, "other keys flow", async || customer.read_order(&other).await["shipment"].is_object()).await;
    eventually(SOON, "shipping's letters wait behind the dead ones", async || {
        let all = cli.items(&["dlq", "list"]).await;
        [&early_letter, &garbage_letter].into_iter().all(|dead| {
            all.iter().any(|letter| letter["id"] == dead["id"] && letter["waiting_behind"].as_i64() >= Some(1))
        })
    })
    .await;

    let id = early_letter["id"].as_str().expect("an id");
    assert!(id.starts_with("order-"), "{id}");
    let table = cli.start(&["dlq", "list"]).succeeds().await;
    assert!(table.contains(id) && table.contains("there is no order"), "{table}");
    let lags = cli.items(&["lag"]).await;
    let group = lags.iter().find(|lag| lag["group"] == "order.saga" && lag["topic"] == topics::SHIPMENTS.name());
    let group = group.expect("it has a line");
    assert!(group["dead"] == 2 && group["parked"].as_i64() >= Some(2), "two are dead, others behind them: {group}");
    let said = cli.start(&["dlq", "show", id, "--json"]).succeeds().await;
    let shown: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!((&shown["id"], &shown["state"], &shown["retry_count"]), (&id.into(), &"dead".into(), &5.into()));
    let type_is_told = |header: &Value| header["name"] == "ce_type" && header["value"] == ShipmentCreated::TYPE;
    assert!(shown["headers"].as_array().expect("headers").iter().any(type_is_told), "{shown}");
    assert!(shown["payload"].is_string(), "{shown}");

    cli.start(&["dlq", "redrive", id]).succeeds().await;
    let (early, garbage) = (early.to_string(), garbage.to_string());
    eventually(SOON, "the key is free", async || customer.read_order(&early).await["shipment"].is_object()).await;
    assert!(customer.read_order(&garbage).await["shipment"].is_null(), "redriven was the other");
    let garbage_id = garbage_letter["id"].as_str().expect("an id");
    cli.start(&["dlq", "discard", garbage_id]).succeeds().await;
    eventually(SOON, "those behind it go on", async || customer.read_order(&garbage).await["shipment"].is_object())
        .await;

    for unknown in [id, garbage_id, "order-999999", "gateway-1", "nobody-1", "nonsense"] {
        for action in ["show", "redrive", "discard"] {
            let complaint = cli.start(&["dlq", action, unknown]).fails_with(1).await;
            assert!(complaint.contains("there is no dead letter"), "{complaint}");
            assert_eq!(complaint.lines().count(), 1, "{complaint}");
        }
    }
    // what other groups do with their letters is theirs to say; they retry with waits of their own, and may give up later
    dead(&cli, "notification.write-messages", &garbage).await;
    let left = cli.items(&["dlq", "list"]).await;
    let discarded = |letter: &Value| letter["group"] == "order.saga" && letter["key"] == garbage.as_str();
    assert!(!left.iter().any(discarded), "{left:?}");

    // who cannot be asked is named, and the others are listed all the same
    platform.kill("shipping").await;
    let running = cli.start(&["dlq", "list"]);
    let complaint = running.fails_with(69).await;
    assert!(complaint.contains("shipping at http://"), "{complaint}");
    let listed = cli.start(&["dlq", "list", "--json"]).prints_and_fails_with(69).await;
    assert!(listed.contains(&garbage), "{listed}");
}

#[tokio::test]
async fn lag_shows_who_is_behind_and_0_when_all_is_handled() {
    let platform = Platform::start().await;
    let cli = CommandLine::of(&platform);
    let customer = Customer::register(&platform).await;
    customer.order_a_mug().await.expect(201);
    let behind = async |group: &str| {
        let lags = cli.items(&["lag"]).await;
        let lag = lags.into_iter().find(|lag| lag["group"] == group && lag["topic"] == topics::ORDERS.name());
        lag.map(|lag| (lag["lag_messages"].as_i64().expect("a number"), lag["lag_seconds"].as_f64().expect("a number")))
    };
    eventually(SOON, "all is handled and published", async || {
        let lags = cli.items(&["lag"]).await;
        let outboxes = lags.iter().filter(|lag| lag["topic"] == "outbox").count();
        // inventory, notification, shipping, analytics and its stream; order, accounts and shipping publish by telephone
        let readers = lags.iter().filter(|lag| lag["topic"] == topics::ORDERS.name()).count();
        outboxes >= 3 && readers >= 5 && lags.iter().all(|lag| lag["lag_messages"] == 0 && lag["lag_seconds"] == 0.0)
    })
    .await;

    let lock = Lock::take(
        &platform,
        "notifications",
        "SELECT FROM consumer_position WHERE \"group\" = $1 FOR UPDATE",
        "notification.write-messages",
    )
    .await;
    customer.order_a_mug().await.expect(201);
    eventually(SOON, "one group is behind", async || {
        behind("notification.write-messages").await.is_some_and(|(letters, seconds)| letters > 0 && seconds > 0.0)
    })
    .await;
    let table = cli.start(&["lag"]).succeeds().await;
    assert!(table.contains("notification.write-messages") && table.contains("outbox"), "{table}");
    lock.release().await;
    eventually(SOON * 2, "it has caught up", async || behind("notification.write-messages").await == Some((0, 0.0)))
        .await;
}

#[tokio::test]
async fn an_order_that_waits_is_told_with_its_reason_and_taken_up_or_given_up() {
    let platform = Platform::start().await;
    let cli = CommandLine::of(&platform);
    let customer = Customer::register(&platform).await;
    let stuck = async |order: &str| {
        let all = cli.items(&["sagas", "stuck", "--longer-than", "1s"]).await;
        all.into_iter().find(|told| told["order_id"] == order)
    };

    // by letter, with a card that is never answered
    let by_letter = customer.order_by_letter(&new_key(), "mug", 1, "tok_no_reply").await.expect(202).order_id();
    let told = eventually_some(SOON, "it waits for payment", async || {
        stuck(&by_letter).await.filter(|told| told["state"] == "AWAITING_PAYMENT")
    })
    .await;
    assert_eq!((&told["placed_by"], &told["attempts"]), (&"letter".into(), &0.into()), "{told}");
    assert!(told["waits_for"].as_str().is_some_and(|it| it.starts_with("a letter of payment")), "{told}");
    let table = cli.start(&["lag"]).succeeds().await;
    assert!(table.lines().any(|line| line.contains("AWAITING_PAYMENT") && line.contains(" 1 ")), "{table}");
    let complaint = cli.start(&["sagas", "stuck", "--retry", &by_letter]).fails_with(1).await;
    assert!(complaint.contains("only letters carry it on"), "{complaint}");
    let available = customer.available("mug").await;
    cli.start(&["sagas", "stuck", "--void", &by_letter]).succeeds().await;
    let order = customer.order_with_status(&by_letter, "REJECTED").await;
    assert_eq!((&order["reason"], &order["payment"]["status"]), (&"EXPIRED".into(), &"NONE".into()));
    assert_eq!(customer.available("mug").await, available + 1, "its piece is free again");
    assert!(stuck(&by_letter).await.is_none());

    // by telephone, with inventory paused
    platform.pause("inventory");
    let by_telephone = customer.order_a_mug().await.expect(202).order_id();
    let told = eventually_some(SOON, "an attempt came to nothing", async || {
        stuck(&by_telephone).await.filter(|told| told["last_error"].is_string())
    })
    .await;
    assert_eq!(
        (&told["state"], &told["waits_for"]),
        (&"AWAITING_STOCK".into(), &"inventory: to reserve the stock".into())
    );
    assert!(told["last_error"].as_str().is_some_and(|it| it.starts_with("Reserve: ")), "{told}");
    platform.resume("inventory");
    let said = cli.start(&["sagas", "stuck", "--retry", &by_telephone]).result().await;
    // recovery may have been faster
    assert!(said.is_empty() || said.contains("is taken up now"), "{said}");
    customer.order_with_status(&by_telephone, "COMPLETED").await;
    let complaint = cli.start(&["sagas", "stuck", "--void", &by_telephone]).fails_with(1).await;
    assert!(complaint.contains("is COMPLETED"), "{complaint}");
    let complaint = cli.start(&["sagas", "stuck", "--void", &OrderId::new().to_string()]).fails_with(1).await;
    assert!(complaint.contains("there is no order"), "{complaint}");
}
