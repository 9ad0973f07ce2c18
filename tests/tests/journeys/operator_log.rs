//! What operators do is told afterwards: who, what, on which object, when, in which trace, and what it changed.

use contracts::{
    event::{Event, Payload},
    events::v1::{ShipmentCreated, ShipmentDispatched},
    ids::OrderId,
    topics,
};
use journeys::{
    command_line::CommandLine,
    customer::{Customer, new_key},
    letters,
    platform::Platform,
};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{SOON, eventually, eventually_some};

use crate::operators::dead;

/// The log, newest first, of an operator.
async fn log(cli: &CommandLine, operator: &str) -> Vec<Value> {
    cli.items(&["operators", "log", "--operator", operator]).await
}

/// Service, action, object and detail of each entry, oldest first.
fn told(log: &[Value]) -> Vec<(&str, &str, &str, &Value)> {
    log.iter()
        .rev()
        .map(|entry| {
            let word = |field: &str| entry[field].as_str().unwrap_or_else(|| panic!("no {field}: {entry}"));
            (word("service"), word("action"), word("object"), &entry["detail"])
        })
        .collect()
}

fn product(name: &str, minor: i64) -> Value {
    json!({"name": name, "price": {"amount_minor": minor, "currency": "EUR"}})
}

async fn is_being_prepared(customer: &Customer, order: &str) {
    eventually(SOON, "its parcel is being prepared", async || {
        customer.read_order(order).await["shipment"]["status"] == "PREPARING"
    })
    .await;
}

#[tokio::test]
async fn every_action_of_an_operator_is_told_in_order_and_nothing_else() {
    let platform = Platform::start().await;
    let cli = CommandLine::of(&platform);
    let (customer, operator) = (Customer::register(&platform).await, Customer::operator(&platform).await);
    let who = operator.account_id();

    let lamp = "/v1/products/lamp";
    operator.send(Method::PUT, lamp, None, Some(product("Lamp", 4_000))).await.expect(200);
    operator.send(Method::PUT, lamp, None, Some(product("Lamp", 4_000))).await.expect(200);
    operator.send(Method::PUT, lamp, None, Some(product("Lamp", 4_500))).await.expect(200);
    operator.send(Method::PUT, lamp, None, Some(product("", 4_500))).await.expect(422);
    customer.send(Method::PUT, lamp, None, Some(product("Mine", 1))).await.expect(403);
    let restock = async |key: &str, sku: &str, quantity: i64| {
        let path = format!("/v1/products/{sku}/restock");
        operator.send(Method::POST, &path, Some(key), Some(json!({ "quantity": quantity }))).await
    };
    let key = new_key();
    restock(&key, "lamp", 5).await.expect(200);
    assert!(restock(&key, "lamp", 5).await.expect(200).is_replayed);
    restock(&key, "lamp", 6).await.expect(422);
    restock(&new_key(), "nothing", 5).await.expect(404);

    let order_a_lamp = async || {
        let order = customer.order(&new_key(), "lamp", 1, "tok_visa").await.expect(201).order_id();
        is_being_prepared(&customer, &order).await;
        order
    };
    let (sent, undone, his_own) = (order_a_lamp().await, order_a_lamp().await, order_a_lamp().await);
    let dispatch = format!("/v1/orders/{sent}/dispatch");
    operator.send(Method::POST, &dispatch, None, None).await.expect(200);
    operator.send(Method::POST, &dispatch, None, None).await.expect(200);
    eventually(SOON, "order knows that it has left", async || {
        customer.read_order(&sent).await["shipment"]["status"] == "DISPATCHED"
    })
    .await;
    operator.cancel(&new_key(), &sent).await.expect(409);
    let cancel = new_key();
    operator.cancel(&cancel, &undone).await.expect(200);
    operator.cancel(&cancel, &undone).await.expect(200);
    customer.cancel(&new_key(), &his_own).await.expect(200);
    operator.cancel(&new_key(), &his_own).await.expect(200);

    let mine = log(&cli, &who).await;
    let euros = |minor: i64| json!({"amount_minor": minor, "currency": "EUR"});
    let change = |before: Value, after: Value| json!({"before": before, "after": after});
    let (sent_order, undone_order) = (format!("order/{sent}"), format!("order/{undone}"));
    let five = change(json!(0), json!(5));
    let new = json!({"name": change(json!(null), json!("Lamp")), "price": change(json!(null), euros(4_000))});
    let dearer = json!({"price": change(euros(4_000), euros(4_500))});
    let restocked = json!({"quantity": 5, "available": five, "received": five});
    let moved = json!({"shipment": change(json!("PREPARING"), json!("DISPATCHED"))});
    let cancelled = json!({"status": change(json!("COMPLETED"), json!("CANCELLING"))});
    let wanted = [
        ("inventory", "put-product", "product/lamp", &new),
        ("inventory", "put-product", "product/lamp", &dearer),
        ("inventory", "restock", "product/lamp", &restocked),
        ("shipping", "dispatch", sent_order.as_str(), &moved),
        ("order", "cancel", undone_order.as_str(), &cancelled),
    ];
    assert_eq!(told(&mine), wanted, "refused, repeated, without effect, and by a customer: all of that is not there");
    for entry in &mine {
        let mut fields: Vec<&str> = entry.as_object().expect("an entry").keys().map(String::as_str).collect();
        fields.sort_unstable();
        assert_eq!(fields, ["action", "at", "detail", "object", "operator", "service", "trace_id"]);
        assert_eq!(entry["operator"], who.as_str());
    }
    // the letter of the same change belongs to the same trace
    let trace: String =
        sqlx::query_scalar("SELECT split_part(traceparent, '-', 2) FROM outbox WHERE key = $1 AND event_type = $2")
            .bind(&sent)
            .bind(ShipmentDispatched::TYPE)
            .fetch_one(platform.database("shipping"))
            .await
            .expect("it has its letter");
    assert_eq!(mine[1]["trace_id"], trace.as_str());

    parts_are_told(&cli, &who, &mine).await;
}

/// All that is in the log, and what a question chooses of it; `mine` is what this operator has done, all after the platform began.
async fn parts_are_told(cli: &CommandLine, who: &str, mine: &[Value]) {
    let all = cli.items(&["operators", "log"]).await;
    let times: Vec<&str> = all.iter().map(|entry| entry["at"].as_str().expect("a time")).collect();
    assert!(times.is_sorted_by(|later, earlier| later >= earlier), "{times:?}");
    let others: Vec<Value> = all.into_iter().filter(|entry| entry["operator"] != who).collect();
    let made = format!("account/{who}");
    let seeded: Vec<_> =
        told(&others).into_iter().map(|(service, action, object, _)| (service, action, object)).collect();
    assert_eq!(seeded, [("accounts", "create-operator", made.as_str()), ("inventory", "seed", "catalogue/demo")]);
    assert_eq!(log(cli, "command line").await, others);
    let since = mine[1]["at"].as_str().expect("a time");
    assert_eq!(cli.items(&["operators", "log", "--since", since]).await, mine[..2]);
    assert_eq!(cli.items(&["operators", "log", "--limit", "3"]).await, mine[..3]);
    let table = cli.start(&["operators", "log", "--limit", "3"]).succeeds().await;
    assert!(
        table.contains(mine[0]["object"].as_str().expect("an object"))
            && table.contains("status COMPLETED → CANCELLING"),
        "{table}"
    );
    assert!(table.contains("There are older ones") && !table.contains("put-product"), "{table}");
    for wrong in [["--since", "yesterday"], ["--operator", "ada@example.com"], ["--limit", "0"]] {
        cli.start(&[&["operators", "log"][..], &wrong[..]].concat()).fails_with(64).await;
    }
}

#[tokio::test]
async fn what_is_done_through_the_ops_ports_and_at_the_command_line_is_told_as_that() {
    let mut platform = Platform::start().await;
    let cli = CommandLine::of(&platform);
    let customer = Customer::register(&platform).await;
    let waiting = customer.order_by_letter(&new_key(), "mug", 1, "tok_no_reply").await.expect(202).order_id();
    let nothing = OrderId::new();
    let letter = Event::new(
        topics::SHIPMENTS,
        nothing.to_string(),
        1,
        "2026-11-21T09:00:00Z".parse().expect("a time"),
        &ShipmentCreated { shipment: None },
    );
    letters::put(&platform.kafka, topics::SHIPMENTS, &letter, Some(b"\xff")).await;
    eventually_some(SOON, "it waits for payment", async || {
        let all = cli.items(&["sagas", "stuck", "--longer-than", "0s"]).await;
        all.into_iter().find(|told| told["order_id"] == waiting.as_str() && told["state"] == "AWAITING_PAYMENT")
    })
    .await;
    cli.start(&["sagas", "stuck", "--void", &waiting]).succeeds().await;
    cli.start(&["sagas", "stuck", "--void", &waiting]).fails_with(1).await;
    let dead = dead(&cli, "order.saga", nothing).await;
    let id = dead["id"].as_str().expect("an id");
    cli.start(&["dlq", "show", id]).succeeds().await;
    cli.start(&["dlq", "discard", id]).succeeds().await;
    cli.start(&["dlq", "discard", id]).fails_with(1).await;
    let before = cli.items(&["operators", "log"]).await.len();
    cli.start(&["replay", "analytics.count", "--from", "beginning"]).succeeds().await;

    let ops = log(&cli, "ops").await;
    let (order, row) = (format!("order/{waiting}"), format!("dead-letter/{}", id.trim_start_matches("order-")));
    let voided = json!({"state": {"before": "AWAITING_PAYMENT", "after": "VOIDING"}});
    let discarded = json!({
        "group": "order.saga", "topic": topics::SHIPMENTS.name(), "partition": dead["partition"],
        "offset": dead["offset"], "key": nothing.to_string(),
    });
    let wanted = [("order", "void", order.as_str(), &voided), ("order", "discard", row.as_str(), &discarded)];
    assert_eq!(told(&ops), wanted);
    // the log of the process tells of it under the same trace
    let lines = platform.log("order");
    let trace = ops[0]["trace_id"].as_str().expect("a trace");
    let line = lines.lines().find(|line| line.contains("an operator discards a dead letter")).expect("it is logged");
    assert!(line.contains(trace), "{line}");
    let all = cli.items(&["operators", "log"]).await;
    assert_eq!(all.len(), before + 1);
    let (service, action, object, detail) = told(&all)[before];
    assert_eq!((service, action, object), ("analytics", "replay", "group/analytics.count"));
    assert_eq!((&detail["kind"], &detail["from"]), (&json!("projection"), &json!("beginning")), "{detail}");
    assert_eq!((&all[0]["operator"], &all[0]["trace_id"]), (&json!("command line"), &Value::Null));

    // who cannot be asked is named, and the others tell all the same
    platform.kill("analytics").await;
    let complaint = cli.start(&["operators", "log"]).fails_with(69).await;
    assert!(complaint.contains("analytics at http://"), "{complaint}");
    let said = cli.start(&["operators", "log", "--json"]).prints_and_fails_with(69).await;
    assert!(said.contains(&row) && !said.contains("analytics"), "{said}");
}

#[tokio::test]
async fn a_dispatch_is_noted_if_and_only_if_it_was_committed_when_the_process_dies_over_it() {
    let mut platform = Platform::start_with(testkit::kafka(), &[("shipping", "DISPATCH_AFTER", "86400")]).await;
    let cli = CommandLine::of(&platform);
    let (customer, operator) = (Customer::register(&platform).await, Customer::operator(&platform).await);
    let who = operator.account_id();
    for (point, is_done) in [("shipping.dispatched.before-commit", false), ("shipping.dispatched.after-commit", true)] {
        let order = customer.order_a_mug().await.expect(201).order_id();
        is_being_prepared(&customer, &order).await;
        platform.stop("shipping").await;
        platform.set("shipping", "FAILPOINTS", Some(format!("{point}=1*return")));
        platform.start_again("shipping").await;
        let before = log(&cli, &who).await.len();
        let path = format!("/v1/orders/{order}/dispatch");
        let died = eventually_some(SOON, "it dies over it", async || {
            let answer = operator.send(Method::POST, &path, None, None).await;
            assert!(answer.status.is_server_error(), "{answer:?}");
            platform.died().pop()
        })
        .await;
        assert_eq!(died, "shipping");
        platform.set("shipping", "FAILPOINTS", None);
        platform.start_again("shipping").await;

        let status = "SELECT status FROM shipment WHERE order_id = $1::uuid";
        let status: String =
            sqlx::query_scalar(status).bind(&order).fetch_one(platform.database("shipping")).await.expect("its row");
        assert_eq!(status == "DISPATCHED", is_done, "{point}: {status}");
        assert_eq!(log(&cli, &who).await.len(), before + usize::from(is_done), "{point}");
        // repeated, as the operator would: done once in the end, and noted once
        eventually(SOON, "it is dispatched", async || {
            operator.send(Method::POST, &path, None, None).await.status.is_success()
        })
        .await;
        let noted = log(&cli, &who).await;
        assert_eq!(noted.len(), before + 1, "{point}: {noted:?}");
        assert_eq!(noted[0]["object"], format!("order/{order}"));
    }
}
