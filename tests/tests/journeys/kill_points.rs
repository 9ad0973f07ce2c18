//! Every service dies at every point where it can be made to, while orders of all kinds come in; and every order that was
//! acknowledged ends, once.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use contracts::topics;
use journeys::{kill_points, letters, network, platform::Platform, repository::root, shoppers::Shoppers, undecided};
use postbox::manifest;
use testkit::eventually;
use tokio::time::Instant;

/// How long it may take until a service passes a point. The longest way there: its consumers must wait until the brokers
/// have noticed that the process before it is dead.
const REACHED_WITHIN: Duration = Duration::from_mins(2);

/// How long an acknowledged order may take to end once nobody dies any more.
const TERMINAL_WITHIN: Duration = Duration::from_secs(30);

/// How long each shopper looks around between two orders.
const BETWEEN_ORDERS: Duration = Duration::from_millis(200);

/// How often it is looked who has died.
const LOOK_EVERY: Duration = Duration::from_millis(20);

#[tokio::test]
async fn killed_once_at_every_point_no_order_is_lost_doubled_or_left_undecided() {
    // every order is one of high value: a transaction is made for nothing else
    let settings = [("shipping", "DISPATCH_AFTER", "2"), ("analytics", "HIGH_VALUE_FROM_MINOR", "1")];
    let mut platform = Platform::start_with(testkit::kafka(), &settings).await;
    let mut shoppers = Shoppers::enter(&platform, BETWEEN_ORDERS).await;

    let mut storm = Storm::begin(&mut platform).await;
    while !storm.is_over() {
        storm.look(&mut platform);
        shoppers.are_content();
        tokio::time::sleep(LOOK_EVERY).await;
    }
    for service in storm.services {
        platform.ready(&service).await;
    }
    let orders = shoppers.leave().await;

    end(&platform, &orders).await;
    add_up(&platform).await;
    are_charged_once(&platform).await;
    are_told_once(&platform).await;
}

/// Every service on its way through its kill points: it dies at one, and is started again to die at the next.
struct Storm {
    services: Vec<String>,
    ahead: BTreeMap<String, VecDeque<String>>,
    /// Where each is to die now, and since when.
    set: BTreeMap<String, (String, Instant)>,
}

impl Storm {
    async fn begin(platform: &mut Platform) -> Self {
        let points = kill_points::all();
        let mut ahead = BTreeMap::new();
        for service in manifest::read_all(&root().join("services")).expect("the manifests are right") {
            let names = points.iter().filter(|point| point.is_in(&service)).map(|point| point.name.clone());
            ahead.insert(service.name.clone(), names.collect::<VecDeque<_>>());
        }
        ahead.retain(|_, points| !points.is_empty());
        let services = ahead.keys().cloned().collect();
        let mut storm = Self { services, ahead, set: BTreeMap::new() };
        for service in storm.services.clone() {
            platform.kill(&service).await;
            storm.start_again(platform, &service);
        }
        storm
    }

    fn is_over(&self) -> bool {
        self.set.is_empty()
    }

    fn start_again(&mut self, platform: &mut Platform, service: &str) {
        let point = self.ahead.get_mut(service).and_then(VecDeque::pop_front);
        platform.set(service, "FAILPOINTS", point.as_ref().map(|point| format!("{point}=1*return")));
        platform.start_soon(service);
        if let Some(point) = point {
            self.set.insert(service.to_owned(), (point, Instant::now()));
        }
    }

    /// Whoever has died is started again; whoever does not is reported.
    fn look(&mut self, platform: &mut Platform) {
        for service in platform.died() {
            let (point, since) = self.set.remove(&service).unwrap_or_else(|| panic!("{service} died by itself"));
            let words = format!("killed at the kill point {point}");
            let log = platform.log(&service);
            // another of its threads may still have said something
            let last = log.lines().rev().find(|line| line.starts_with("killed at "));
            assert_eq!(last, Some(words.as_str()), "{service} died of something else: {log}");
            println!("{service} died at {point} after {:.1} s", since.elapsed().as_secs_f64());
            self.start_again(platform, &service);
        }
        for (service, (point, since)) in &self.set {
            assert!(since.elapsed() < REACHED_WITHIN, "{service} never passes {point}");
        }
    }
}

/// Every order that was acknowledged is there and has ended, within its time.
async fn end(platform: &Platform, orders: &[String]) {
    println!("{} orders were acknowledged", orders.len());
    let missing: Vec<String> = sqlx::query_scalar(
        "SELECT id::text FROM unnest($1::text[]::uuid[]) AS acknowledged (id)
         WHERE NOT EXISTS (SELECT FROM orders WHERE order_id = id)",
    )
    .bind(orders)
    .fetch_all(platform.database("orders"))
    .await
    .expect("order has its table");
    assert!(missing.is_empty(), "acknowledged and lost: {missing:?}");
    let began = Instant::now();
    let mut going = undecided::orders(platform).await;
    while !going.is_empty() {
        assert!(began.elapsed() < TERMINAL_WITHIN, "{} orders have not ended: {:#?}", going.len(), going);
        tokio::time::sleep(LOOK_EVERY).await;
        going = undecided::orders(platform).await;
    }
    println!("all had ended after {:.1} s", began.elapsed().as_secs_f64());
}

/// Whatever still follows has followed: nothing waits in a database, nothing is reserved, every piece is somewhere, and every
/// completed order has its one parcel.
async fn add_up(platform: &Platform) {
    let nothing = async |database: &str, query: &'static str| {
        let count: i64 = sqlx::query_scalar(query).fetch_one(platform.database(database)).await.expect(query);
        count == 0
    };
    for (database, query) in [
        ("inventory", "SELECT count(*) FROM stock WHERE reserved <> 0 OR available + sold <> received"),
        ("payments", "SELECT count(*) FROM charge_work"),
        ("payments", "SELECT count(*) FROM payments WHERE state IN ('ATTEMPTING', 'VOIDING', 'REFUNDING')"),
        ("shipping", "SELECT count(*) FROM address_question WHERE attempt_at IS NOT NULL"),
        // but to those who are nobody any more
        (
            "notifications",
            "SELECT count(*) FROM message
             WHERE state <> 'SENT' AND NOT (state = 'FAILED' AND failure = 'the account was erased')",
        ),
    ] {
        eventually(TERMINAL_WITHIN, query, async || nothing(database, query).await).await;
    }
    for database in ["orders", "inventory", "payments", "shipping", "notifications", "analytics"] {
        assert!(nothing(database, "SELECT count(*) FROM consumer_parked").await, "{database} has parked letters");
    }
    let ids = async |database: &str, query: &'static str| -> BTreeSet<String> {
        let ids: Vec<String> = sqlx::query_scalar(query).fetch_all(platform.database(database)).await.expect(query);
        ids.into_iter().collect()
    };
    let completed = ids("orders", "SELECT order_id::text FROM orders WHERE saga_state = 'COMPLETED'").await;
    eventually(TERMINAL_WITHIN, "what is completed is sold, and nothing else", async || {
        ids("inventory", "SELECT order_id::text FROM reservation WHERE state = 'SETTLED'").await == completed
    })
    .await;
    eventually(TERMINAL_WITHIN, "every completed order has its parcel, and no other order has one", async || {
        ids("shipping", "SELECT order_id::text FROM shipment WHERE status <> 'CANCELLED'").await == completed
    })
    .await;
}

/// The card network has captured once for each order at most, and keeps the money of the completed ones.
async fn are_charged_once(platform: &Platform) {
    let totals: Vec<(String, i64)> = sqlx::query_as(
        "SELECT order_id::text, CASE saga_state WHEN 'COMPLETED' THEN total_minor ELSE 0 END FROM orders",
    )
    .fetch_all(platform.database("orders"))
    .await
    .expect("order has its table");
    let mut kept: BTreeMap<String, (usize, i64)> = BTreeMap::new();
    for capture in network::captures(platform).await {
        let order = capture["merchant_reference"].as_str().expect("a reference").to_owned();
        let account = kept.entry(order).or_default();
        account.0 += 1;
        if capture["voided"] == false {
            let minor = |field: &str| capture[field]["amount_minor"].as_i64().expect("an amount");
            account.1 += minor("amount") - minor("refunded");
        }
    }
    for (order, total) in totals {
        let (captures, minor) = kept.remove(&order).unwrap_or_default();
        assert!(captures <= 1 && minor == total, "order {order}: {captures} captures, {minor} kept of {total}");
    }
    assert!(kept.is_empty(), "captured for nobody: {kept:?}");
}

/// Every change of an order is one letter, in its order; and whoever is to be told of its end is told once. Parcels still
/// move, so it is looked until both are the same.
async fn are_told_once(platform: &Platform) {
    let orders = platform.database("orders");
    eventually(TERMINAL_WITHIN, "each version of each order has its letter", async || {
        let versions: Vec<(String, i64)> = sqlx::query_as("SELECT order_id::text, version FROM orders")
            .fetch_all(orders)
            .await
            .expect("order has its table");
        first_letters(platform).await.last == versions.into_iter().collect()
    })
    .await;
    let ends = first_letters(platform).await.ends;
    eventually(TERMINAL_WITHIN, "there is one message for each end of an order", async || {
        let messages: i64 = sqlx::query_scalar("SELECT count(*) FROM message WHERE event_type LIKE 'order.%'")
            .fetch_one(platform.database("notifications"))
            .await
            .expect("notification has its table");
        messages == ends
    })
    .await;
}

/// The letters of all orders, without those that came again.
#[derive(Default)]
struct FirstLetters {
    /// The last version of each order that a letter tells.
    last: BTreeMap<String, i64>,
    /// How many letters tell the end of an order.
    ends: i64,
}

async fn first_letters(platform: &Platform) -> FirstLetters {
    let mut ids = BTreeSet::new();
    let mut letters = FirstLetters::default();
    for letter in letters::on(&platform.kafka, topics::ORDERS).await {
        if !ids.insert(letter.id) {
            continue;
        }
        let last = letters.last.entry(letter.subject.clone()).or_default();
        assert_eq!(letter.sequence, *last + 1, "{} of {}", letter.event_type, letter.subject);
        *last = letter.sequence;
        let is_end = ["order.completed", "order.rejected", "order.cancelled"].contains(&letter.event_type.as_str());
        letters.ends += i64::from(is_end);
    }
    letters
}
