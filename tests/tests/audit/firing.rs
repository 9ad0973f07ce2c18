//! Each check fires when what it is for is broken, alone, and not any more when that is mended.

use contracts::{
    event::Event,
    events::v1::AccountRegistered,
    ids::{AccountId, OrderId},
    topics::{ACCOUNTS, ORDERS, RESERVATIONS},
};
use journeys::{letters, locks::Lock};
use serde_json::json;

use crate::{operator_for_all, shop::Shop};

#[tokio::test]
async fn each_check_fires_alone_when_its_promise_is_broken() {
    let shop = Shop::open().await;
    shop.audited().await;

    keys(&shop).await;
    captures(&shop).await;
    decisions_and_refunds(&shop).await;
    stock(&shop).await;
    reservations(&shop).await;
    late_orders(&shop).await;
    events_and_changes(&shop).await;
    effects(&shop).await;
    standstill(&shop).await;
    acknowledgements(&shop).await;
    ownership(&shop).await;
    silence(&shop).await;
    unfinished_work(&shop).await;
    ledger(&shop).await;

    // all is mended
    shop.audited().await;
    // what lies on a topic cannot be taken back: these two at the end
    vanished_poison(&shop).await;
    order_of_events(&shop).await;
}

async fn keys(shop: &Shop) {
    let (one, other) = (&shop.completed, &shop.another);
    shop.sql(
        "orders",
        &format!(
            "ALTER TABLE orders DROP CONSTRAINT order_idempotency_key;
             CREATE TABLE saved AS SELECT order_id, idempotency_key FROM orders WHERE order_id = '{other}';
             UPDATE orders SET idempotency_key = (SELECT idempotency_key FROM orders WHERE order_id = '{one}')
             WHERE order_id = '{other}'"
        ),
    )
    .await;
    shop.broken(&[]).await.only(1, &["has 2 orders"]);
    shop.sql(
        "orders",
        "UPDATE orders SET idempotency_key = saved.idempotency_key FROM saved WHERE saved.order_id = orders.order_id;
         ALTER TABLE orders ADD CONSTRAINT order_idempotency_key UNIQUE (customer_id, idempotency_key);
         DROP TABLE saved",
    )
    .await;

    shop.sql(
        "orders",
        &format!(
            "CREATE TABLE saved AS SELECT order_id, answer FROM orders WHERE order_id = '{one}';
             UPDATE orders SET answer = (SELECT answer FROM orders WHERE order_id = '{other}') WHERE order_id = '{one}'"
        ),
    )
    .await;
    shop.broken(&[]).await.only(1, &[one, "is about order", other]);
    shop.sql(
        "orders",
        "UPDATE orders SET answer = saved.answer FROM saved WHERE saved.order_id = orders.order_id; DROP TABLE saved",
    )
    .await;
}

async fn captures(shop: &Shop) {
    let stranger = OrderId::new().to_string();
    let psp = shop.platform.url("psp");
    let charge = json!({
        "merchant_reference": stranger, "amount": {"amount_minor": 100, "currency": "EUR"}, "card_token": "tok_visa",
    });
    let ask = async |path: String, body: serde_json::Value| {
        let answer = reqwest::Client::new().post(format!("{psp}{path}")).json(&body).send().await;
        assert!(answer.expect("the network answers").status().is_success());
    };
    ask("/charges".to_owned(), charge).await;
    shop.broken(&[]).await.only(2, &[&stranger, "there is no such order"]);
    ask(format!("/charges/{stranger}/void"), json!({})).await;

    let order = &shop.completed;
    shop.sql("orders", &format!("UPDATE orders SET total_minor = total_minor + 1 WHERE order_id = '{order}'")).await;
    shop.broken(&[]).await.only(2, &[order, "the card network has 2500, the order's total is 2501"]);
    shop.sql("orders", &format!("UPDATE orders SET total_minor = total_minor - 1 WHERE order_id = '{order}'")).await;
}

async fn decisions_and_refunds(shop: &Shop) {
    let order = &shop.completed;
    let state = async |order: &str, state: &str| {
        let sql = format!("UPDATE payments SET state = '{state}', decline_reason = 'none' WHERE order_id = '{order}'");
        shop.sql("payments", &sql).await;
    };
    state(order, "DECLINED").await;
    shop.broken(&[]).await.only(3, &[order, "is COMPLETED and payment says DECLINED"]);
    state(order, "CAPTURED").await;

    let order = &shop.refunded;
    state(order, "CAPTURED").await;
    shop.broken(&[]).await.only(4, &[order, "payment asked for none"]);
    state(order, "REFUNDED").await;
}

async fn stock(shop: &Shop) {
    let mug = async |set: &str| shop.sql("inventory", &format!("UPDATE stock SET {set} WHERE sku = 'mug'")).await;
    mug("available = available - 1, reserved = reserved + 1").await;
    shop.broken(&[]).await.only(5, &["product mug", "reservations hold 0"]);
    mug("available = available + 1, reserved = reserved - 1").await;

    shop.sql("inventory", "ALTER TABLE stock DROP CONSTRAINT stock_adds_up").await;
    mug("received = received + 5").await;
    shop.broken(&[]).await.only(5, &["product mug", "received 1000005"]);
    mug("received = received - 5").await;
    shop.sql(
        "inventory",
        "ALTER TABLE stock ADD CONSTRAINT stock_adds_up CHECK (available + reserved + sold = received)",
    )
    .await;
}

async fn reservations(shop: &Shop) {
    let order = &shop.sold_out;
    shop.sql(
        "inventory",
        &format!(
            "CREATE TABLE saved AS SELECT * FROM reservation WHERE order_id = '{order}';
             DELETE FROM reservation WHERE order_id = '{order}'"
        ),
    )
    .await;
    shop.broken(&[]).await.only(6, &[order, "is NONE, and the order is REJECTED"]);
    shop.sql("inventory", "INSERT INTO reservation SELECT * FROM saved; DROP TABLE saved").await;
}

async fn late_orders(shop: &Shop) {
    let order = OrderId::new().to_string();
    shop.sql(
        "orders",
        &format!(
            "INSERT INTO orders (order_id, customer_id, idempotency_key, fingerprint, trace_id, saga_state, version,
                 placed_by, lines, decide_by, created_at, updated_at)
             VALUES ('{order}', '{order}', 'left-behind', '', '', 'AWAITING_STOCK', 1, 'TELEPHONE', '[]',
                 now() - interval '1 hour', '2020-01-01', '2020-01-01')"
        ),
    )
    .await;
    shop.broken(&[]).await.only(7, &[&order, "is AWAITING_STOCK and 36"]);
    shop.sql("orders", &format!("DELETE FROM orders WHERE order_id = '{order}'")).await;
}

async fn events_and_changes(shop: &Shop) {
    let order = &shop.completed;
    shop.sql(
        "orders",
        &format!(
            "CREATE TABLE saved AS SELECT * FROM outbox WHERE key = '{order}' AND sequence = 1;
             DELETE FROM outbox WHERE key = '{order}' AND sequence = 1"
        ),
    )
    .await;
    shop.broken(&[]).await.only(8, &[order, "was committed by nobody"]);
    shop.sql("orders", "INSERT INTO outbox SELECT * FROM saved; DROP TABLE saved").await;

    // below the floor, so the relay says that it is published
    let event = OrderId::new();
    shop.sql(
        "orders",
        &format!(
            "INSERT INTO outbox (id, event_id, topic, key, sequence, event_type, source, occurred_at, payload)
             VALUES (-1, '{event}', '{}', '{}', 1, 'order.created', '/order', now(), '')",
            ORDERS.name(),
            OrderId::new(),
        ),
    )
    .await;
    shop.broken(&[]).await.only(8, &[&event.to_string(), "is published and not on its topic"]);
    shop.sql("orders", "DELETE FROM outbox WHERE id = -1").await;

    let bump = async |by: &str| {
        shop.sql("orders", &format!("UPDATE orders SET version = version {by} WHERE order_id = '{order}'")).await;
    };
    bump("+ 1").await;
    shop.broken(&[]).await.only(8, &[order, "its newest event is"]);
    bump("- 1").await;
}

async fn effects(shop: &Shop) {
    let order = &shop.completed;
    shop.is_told_of(order).await;
    for (database, table, group) in [
        ("notifications", "message", "notification.write-messages"),
        ("analytics", "timeline", "analytics.count"),
        ("shipping", "shipment", "shipping.prepare-parcels"),
    ] {
        shop.sql(
            database,
            &format!(
                "CREATE TABLE saved AS SELECT * FROM {table} WHERE order_id = '{order}';
                 DELETE FROM {table} WHERE order_id = '{order}'"
            ),
        )
        .await;
        shop.broken(&[]).await.only(10, &[order, group, "without its effect"]);
        shop.sql(database, &format!("INSERT INTO {table} SELECT * FROM saved; DROP TABLE saved")).await;
    }

    let message = OrderId::new();
    shop.sql(
        "notifications",
        &format!(
            "INSERT INTO message (message_id, customer_id, order_id, event_type, subject, body, state, attempt_at, sent_at)
             VALUES ('{message}', '{message}', '{order}', 'order.completed', '', '', 'SENT', NULL, now())"
        ),
    )
    .await;
    shop.broken(&[]).await.only(10, &[&message.to_string(), "there is no such letter"]);
    shop.sql("notifications", &format!("DELETE FROM message WHERE message_id = '{message}'")).await;

    let go = async |by: &str| {
        let sql = format!(
            "UPDATE consumer_position SET next = next {by} WHERE \"group\" = 'analytics.count' AND topic = '{}'",
            RESERVATIONS.name()
        );
        shop.sql("analytics", &sql).await;
    };
    go("+ 1000").await;
    shop.broken(&[]).await.only(10, &["position of analytics.count", "the partition ends at"]);
    go("- 1000").await;
}

async fn standstill(shop: &Shop) {
    // a topic on which an audit itself makes no letters
    let go = async |by: &str| {
        let sql = format!(
            "UPDATE consumer_position SET next = next {by}
             WHERE \"group\" = 'order.saga' AND topic = '{topic}' AND partition = (
                 SELECT partition FROM consumer_position
                 WHERE \"group\" = 'order.saga' AND topic = '{topic}' ORDER BY next DESC LIMIT 1)",
            topic = RESERVATIONS.name(),
        );
        shop.sql("orders", &sql).await;
    };
    go("- 1").await;
    shop.broken(&[]).await.only(11, &["order.saga", "stands still, 1 letters before the end"]);
    go("+ 1").await;
}

async fn acknowledgements(shop: &Shop) {
    let lost = OrderId::new().to_string();
    let (order, customer) = (&shop.completed, shop.customer.account_id().await);
    let journal = tempfile::NamedTempFile::new().expect("a temporary file can be made");
    let path = journal.path().to_str().expect("a plain path");
    let write = |id: &str, key: &str, status: u16| {
        let line = json!({"key": key, "customer": customer, "order_id": id, "status": status});
        std::fs::write(path, format!("{line}\n")).expect("it can be written");
    };
    write(&lost, "some-key", 201);
    shop.broken(&["--journal", path]).await.only(12, &[&lost, "was answered 201 and is lost"]);
    write(order, "another-key", 201);
    shop.broken(&["--journal", path]).await.only(12, &[order, "another-key"]);
}

async fn ownership(shop: &Shop) {
    let door = operator_for_all::open(&shop.platform).await;
    shop.command_line.put_service("gateway", &door);
    shop.broken(&[]).await.only(13, &["/timeline", "a stranger is answered 200", "a stranger is shown order"]);
    shop.command_line.put_service("gateway", shop.platform.url("gateway"));
}

async fn silence(shop: &Shop) {
    // it has no letters to read meanwhile
    shop.platform.pause("payment");
    shop.broken(&[]).await.only(14, &["payment", "is not there after 1000 ms"]);
    shop.platform.resume("payment");
}

async fn unfinished_work(shop: &Shop) {
    let message: String =
        sqlx::query_scalar("SELECT message_id::text FROM message WHERE order_id = $1::uuid AND state = 'SENT' LIMIT 1")
            .bind(&shop.completed)
            .fetch_one(shop.platform.database("notifications"))
            .await
            .expect("the customer was told");
    // its workers pass by what somebody has locked; others may change it
    let query = "SELECT 1 FROM message WHERE message_id = $1::uuid FOR KEY SHARE";
    let lock = Lock::take(&shop.platform, "notifications", query, &message).await;
    shop.sql(
        "notifications",
        &format!(
            "UPDATE message SET state = 'DUE', sent_at = NULL, attempt_at = now() - interval '1 hour'
             WHERE message_id = '{message}'"
        ),
    )
    .await;
    shop.broken(&[]).await.only(15, &[&message, "nobody takes it up"]);
    shop.sql(
        "notifications",
        &format!(
            "UPDATE message SET state = 'SENT', sent_at = now(), attempt_at = NULL WHERE message_id = '{message}'"
        ),
    )
    .await;
    lock.release().await;
}

async fn ledger(shop: &Shop) {
    let order = &shop.completed;
    let set = async |set: &str| {
        shop.sql("payments", &format!("UPDATE transfers SET {set} WHERE order_id = '{order}'")).await;
    };
    set("debit_account = 'elsewhere'").await;
    shop.broken(&[]).await.only(16, &[order, "between the wrong accounts"]);
    set("debit_account = 'card-network'").await;
    set("amount_minor = amount_minor - 1").await;
    shop.broken(&[]).await.only(16, &[order, "say that 2499 is kept, the card network keeps 2500"]);
    set("amount_minor = amount_minor + 1").await;
}

/// What is no letter is parked by every group; that is right. A group that has lost it has let it vanish.
async fn vanished_poison(shop: &Shop) {
    let mut garbage = registered(AccountId::new(), 1);
    garbage.event_type = String::new();
    letters::put(&shop.platform.kafka, ACCOUNTS, &garbage, Some(b"garbage")).await;
    let parked = "SELECT EXISTS (SELECT FROM consumer_parked WHERE \"group\" = 'shipping.prepare-parcels')";
    testkit::eventually(testkit::SOON, "it is parked", async || {
        sqlx::query_scalar(parked).fetch_one(shop.platform.database("shipping")).await.expect("there is such a table")
    })
    .await;
    // so that it does not die meanwhile, which leaves a copy
    shop.sql("shipping", "UPDATE consumer_parked SET next_retry_at = now() + interval '1 hour'").await;
    shop.audited().await;
    let columns = "\"group\", topic, partition, \"offset\", header_names, header_values, error, next_retry_at";
    let lose = format!("CREATE TABLE saved AS SELECT {columns} FROM consumer_parked; DELETE FROM consumer_parked");
    shop.sql("shipping", &lose).await;
    shop.broken(&[]).await.only(11, &["shipping.prepare-parcels", "is neither parked nor dead"]);
    let put_back = format!("INSERT INTO consumer_parked ({columns}) SELECT {columns} FROM saved; DROP TABLE saved");
    shop.sql("shipping", &put_back).await;
    shop.audited().await;
}

/// A second event without a first: committed and published, and still wrong.
async fn order_of_events(shop: &Shop) {
    let account = AccountId::new();
    let second = registered(account, 2);
    shop.sql(
        "accounts",
        &format!(
            "INSERT INTO outbox (id, event_id, topic, key, sequence, event_type, source, occurred_at, payload)
             VALUES (-1, '{}', '{}', '{account}', 2, '{}', '/accounts', now(), '')",
            second.id,
            ACCOUNTS.name(),
            second.event_type,
        ),
    )
    .await;
    letters::put(&shop.platform.kafka, ACCOUNTS, &second, Some(&second.payload)).await;
    shop.broken(&[]).await.only(9, &[&account.to_string(), "has sequence 2 after 0"]);
}

fn registered(account: AccountId, sequence: i64) -> Event {
    let payload = AccountRegistered { account_id: account.to_string() };
    let time = "2026-11-21T09:00:00Z".parse().expect("a time");
    Event::new(ACCOUNTS, account.to_string(), sequence, time, &payload)
}
