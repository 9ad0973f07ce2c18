//! 8, 9, 11: letters and their order, poison, and groups that go on.

use contracts::{
    event::Event,
    events::v1::AccountRegistered,
    ids::{AccountId, OrderId},
    topics::{ACCOUNTS, ORDERS, RESERVATIONS, SHIPMENTS},
};
use journeys::letters;
use testkit::{SOON, eventually};

use crate::{breakage::Breakage, orders::Orders, shop::Shop};

/// Columns of a letter that was committed.
const OUTBOX: &str = "id, event_id, topic, key, sequence, event_type, source, occurred_at, payload";

/// Columns of a letter that was set aside; the others make themselves.
const PARKED: &str = r#""group", topic, partition, "offset", header_names, header_values, error, next_retry_at"#;

/// An event exists if and only if its change committed.
pub async fn events_and_changes(shop: &Shop, orders: &mut Orders) -> Vec<Breakage> {
    let (uncommitted, ahead, parcel) = (orders.completed(), orders.completed(), orders.completed());
    let first = format!("key = '{uncommitted}' AND sequence = 1");
    let by_nobody = Breakage::without(shop, "orders", "outbox", &first).await;
    let (event, subject) = (OrderId::new().to_string(), OrderId::new());
    let topic = ORDERS.name();
    // below the floor: the relay says that it is published
    let values = format!("-1, '{event}', '{topic}', '{subject}', 1, 'order.created', '/order', now(), ''");
    let unpublished = Breakage::with(shop, "orders", "outbox", OUTBOX, &values, "id = -1").await;
    let next = [("version", "version + 1")];
    let order = Breakage::changed(shop, "orders", "orders", &format!("order_id = '{ahead}'"), &next).await;
    let shipment = Breakage::changed(shop, "shipping", "shipment", &format!("order_id = '{parcel}'"), &next).await;
    vec![
        by_nobody.fires(8, &[&uncommitted, "was committed by nobody"]),
        unpublished.fires(8, &[&event, "is published and not on its topic"]),
        order.fires(8, &[ORDERS.name(), &ahead, "its newest event is"]),
        shipment.fires(8, &[SHIPMENTS.name(), &parcel, "its newest event is"]),
    ]
}

/// Letters that were set aside and are forgotten, by groups that nobody serves; and a group that stands still.
pub async fn forgotten(shop: &Shop) -> Vec<Breakage> {
    let mut breakages = Vec::new();
    let cases = [
        ("nobody.tries-again", "'parked', NULL", "should have been tried again"),
        ("nobody.sends-copies", "'dead', now() - interval '1 hour'", "is dead, and nobody sends its copy"),
        ("nobody.sent-copies", "'dead', NULL", "is dead and counts as copied, and the copy is not there"),
    ];
    for (group, state, words) in cases {
        // far beyond every letter, so that none counts as refused
        let (topic, columns) = (ORDERS.name(), format!("{PARKED}, state, copy_due_at"));
        let values =
            format!("'{group}', '{topic}', 0, 1000000000, '{{}}', '{{}}', '', now() - interval '1 hour', {state}");
        let which = format!("\"group\" = '{group}'");
        let set_aside = Breakage::with(shop, "analytics", "consumer_parked", &columns, &values, &which).await;
        breakages.push(set_aside.fires(11, &[group, words]));
    }

    // a topic on which an audit itself makes no letters
    let topic = RESERVATIONS.name();
    let group = format!("\"group\" = 'order.saga' AND topic = '{topic}'");
    let busiest = format!("SELECT partition FROM consumer_position WHERE {group} ORDER BY next DESC LIMIT 1");
    let partition = shop.ask::<i32>("orders", &busiest).await;
    let which = format!("{group} AND partition = {partition}");
    let still = Breakage::changed(shop, "orders", "consumer_position", &which, &[("next", "next - 1")]).await;
    let place = format!("order.saga at {topic}/{partition}/");
    breakages.push(still.fires(11, &[&place, "stands still, 1 letters before the end"]));
    breakages
}

/// What is no letter is parked by every group; that is right. A group that has lost it has let it vanish.
pub async fn vanished_poison(shop: &Shop) -> Vec<Breakage> {
    let mut garbage = registered(AccountId::new(), 1);
    garbage.event_type = String::new();
    letters::put(&shop.platform.kafka, ACCOUNTS, &garbage, Some(b"garbage")).await;
    let group = r#""group" = 'shipping.prepare-parcels'"#;
    eventually(SOON, "it is parked", async || {
        shop.ask("shipping", &format!("SELECT EXISTS (SELECT FROM consumer_parked WHERE {group})")).await
    })
    .await;
    // so that it does not die when it is mended, which leaves a copy
    shop.sql("shipping", "UPDATE consumer_parked SET next_retry_at = now() + interval '1 hour'").await;
    let broken = format!(
        "CREATE TABLE poison AS SELECT {PARKED} FROM consumer_parked WHERE {group};
         DELETE FROM consumer_parked WHERE {group}"
    );
    let mended = format!("INSERT INTO consumer_parked ({PARKED}) SELECT {PARKED} FROM poison; DROP TABLE poison");
    let lost = Breakage::sql(shop, "shipping", &broken, mended).await;
    vec![lost.fires(11, &["shipping.prepare-parcels", "is neither parked nor dead"])]
}

/// A second event without a first: committed and published, and still wrong. What lies on a topic cannot be taken back.
pub async fn order_of_events(shop: &Shop) -> Vec<Breakage> {
    let account = AccountId::new();
    let second = registered(account, 2);
    let (id, topic, kind) = (&second.id, ACCOUNTS.name(), &second.event_type);
    let values = format!("-1, '{id}', '{topic}', '{account}', 2, '{kind}', '/accounts', now(), ''");
    let committed = Breakage::with(shop, "accounts", "outbox", OUTBOX, &values, "id = -1").await;
    letters::put(&shop.platform.kafka, ACCOUNTS, &second, Some(&second.payload)).await;
    vec![committed.fires(9, &[&account.to_string(), "has sequence 2 after 0"])]
}

fn registered(account: AccountId, sequence: i64) -> Event {
    let payload = AccountRegistered { account_id: account.to_string() };
    let time = "2026-11-21T09:00:00Z".parse().expect("a time");
    Event::new(ACCOUNTS, account.to_string(), sequence, time, &payload)
}
