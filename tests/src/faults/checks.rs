//! What is lost, doubled or broken, once all is at rest: read from the databases, the topics and the card network's books.

use std::collections::{BTreeMap, HashMap, HashSet};

use contracts::topics;
use postbox::load::Entry;
use sqlx::PgPool;

use super::world::World;
use crate::{letters, network};

/// What was found. Each is one sentence that names what it is about.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// Acknowledged, or committed, and not there.
    pub lost: Vec<String>,
    /// There more than once.
    pub doubled: Vec<String>,
    /// Not as promised in any other way.
    pub broken: Vec<String>,
}

impl Findings {
    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &String> {
        self.lost.iter().chain(&self.doubled).chain(&self.broken)
    }
}

/// An order as its own database has it.
struct Order {
    customer: String,
    key: String,
    state: String,
}

/// Looks at everything there is; `journal` is what the platform has acknowledged meanwhile.
pub async fn all(world: &World, journal: &[Entry]) -> Findings {
    let mut findings = Findings::default();
    let orders = orders(world.platform.database("orders")).await;
    acknowledgements(&orders, journal, &mut findings);
    captures(world, &orders, &mut findings).await;
    effects(world, &orders, &mut findings).await;
    published(world, &mut findings).await;
    findings
}

async fn orders(pool: &PgPool) -> HashMap<String, Order> {
    let rows: Vec<(String, String, String, String)> =
        sqlx::query_as("SELECT order_id::text, customer_id::text, idempotency_key, saga_state FROM orders")
            .fetch_all(pool)
            .await
            .expect("order has its table");
    let order = |(id, customer, key, state)| (id, Order { customer, key, state });
    rows.into_iter().map(order).collect()
}

/// Every acknowledged order is there, under its key.
fn acknowledgements(orders: &HashMap<String, Order>, journal: &[Entry], findings: &mut Findings) {
    for entry in journal {
        let is_there =
            orders.get(&entry.order_id).is_some_and(|order| order.customer == entry.customer && order.key == entry.key);
        if !is_there {
            findings.lost.push(format!("order {} was acknowledged and is not there", entry.order_id));
        }
    }
    let ordered: HashSet<_> = journal.iter().map(|entry| &entry.key).collect();
    if ordered.len() != journal.len() {
        findings.doubled.push("a key was acknowledged twice".to_owned());
    }
}

/// The network captured once for each completed order, and keeps nothing for any other.
async fn captures(world: &World, orders: &HashMap<String, Order>, findings: &mut Findings) {
    let mut kept: BTreeMap<String, usize> = BTreeMap::new();
    for capture in network::captures(&world.platform).await {
        let order = capture["merchant_reference"].as_str().expect("a reference").to_owned();
        let is_kept = capture["voided"] == false && capture["refunded_minor"].as_i64() == Some(0);
        *kept.entry(order).or_default() += usize::from(is_kept);
    }
    for (id, order) in orders {
        let times = kept.get(id).copied().unwrap_or(0);
        if order.state != "COMPLETED" && times > 0 {
            findings.broken.push(format!("order {id} is {} and its money is kept", order.state));
        } else if order.state == "COMPLETED" && times == 0 {
            findings.broken.push(format!("order {id} is completed and not paid"));
        } else if times > 1 {
            findings.doubled.push(format!("order {id} was charged {times} times"));
        }
    }
    let strangers = kept.keys().filter(|id| !orders.contains_key(*id));
    findings.broken.extend(strangers.map(|id| format!("{id} was charged and is no order")));
}

/// One parcel, one mail and one sale for each completed order, and nothing held for any.
async fn effects(world: &World, orders: &HashMap<String, Order>, findings: &mut Findings) {
    let completed: HashSet<&String> =
        orders.iter().filter(|(_, order)| order.state == "COMPLETED").map(|(id, _)| id).collect();
    let each: [(&str, &str, &str); 3] = [
        ("shipping", "parcel", "SELECT order_id::text FROM shipment WHERE status <> 'CANCELLED'"),
        ("notifications", "mail", "SELECT order_id::text FROM message WHERE event_type = 'order.completed'"),
        ("inventory", "sale", "SELECT order_id::text FROM reservation WHERE state = 'SETTLED'"),
    ];
    for (database, what, query) in each {
        let mut times: HashMap<String, usize> = HashMap::new();
        for id in column(world.platform.database(database), query).await {
            *times.entry(id).or_default() += 1;
        }
        for &id in &completed {
            match times.get(id).copied().unwrap_or(0) {
                0 => findings.lost.push(format!("completed order {id} has no {what}")),
                1 => {}
                more => findings.doubled.push(format!("completed order {id} has {more} of {what}")),
            }
        }
        let strangers = times.keys().filter(|id| !completed.contains(id));
        findings.broken.extend(strangers.map(|id| format!("order {id} has a {what} and is not completed")));
    }
    let wrong: Vec<String> = column(
        world.platform.database("inventory"),
        "SELECT sku FROM stock WHERE reserved <> 0 OR available < 0 OR available + sold <> received",
    )
    .await;
    findings.broken.extend(wrong.iter().map(|sku| format!("the pieces of {sku} do not add up")));
}

/// The letters of order's topic are those of its outbox, and each order's came in their order.
async fn published(world: &World, findings: &mut Findings) {
    let written = column(world.platform.database("orders"), "SELECT event_id::text FROM outbox").await;
    let mut seen = HashSet::new();
    let mut last: HashMap<String, i64> = HashMap::new();
    for letter in letters::on(&world.kafka.kafka, topics::ORDERS).await {
        if seen.insert(letter.id.to_string()) {
            let before = last.insert(letter.subject.clone(), letter.sequence).unwrap_or(0);
            if letter.sequence != before + 1 {
                findings
                    .broken
                    .push(format!("letter {} of order {} followed {before}", letter.sequence, letter.subject));
            }
        }
    }
    let written: HashSet<_> = written.into_iter().collect();
    findings.lost.extend(written.difference(&seen).map(|id| format!("letter {id} was never published")));
    findings.broken.extend(seen.difference(&written).map(|id| format!("letter {id} was never committed")));
}

async fn column(pool: &PgPool, query: &'static str) -> Vec<String> {
    sqlx::query_scalar(query).fetch_all(pool).await.unwrap_or_else(|error| panic!("{query}: {error}"))
}
