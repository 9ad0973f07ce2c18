//! How long after its 201 an order's followers show what they made of it, under a steady load.
//!
//! An effect is visible when a reader of the follower's own database finds it: the reader polls, so a figure is at most one
//! poll too high.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use sqlx::{Connection, PgConnection};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{figure::Figures, orders::Customer, platform::Platform};

/// Orders are sent at this rate, whether or not those before are answered.
const ORDERS_PER_SECOND: u32 = 100;

/// Orders left out at the start.
const WARM_UP: Duration = Duration::from_secs(3);

const POLL: Duration = Duration::from_millis(5);

/// How long the last effects may take before the measurement fails.
const LAST_EFFECT: Duration = Duration::from_secs(30);

/// A follower: its name, its database, and which of some orders it has done something about.
const FOLLOWERS: [(&str, &str, &str); 3] = [
    ("shipping", "shipping", "SELECT order_id FROM shipment WHERE order_id = ANY ($1)"),
    (
        "notification",
        "notifications",
        // by the index of a customer's messages, and there is one customer: to look must cost little
        "SELECT order_id FROM (
             SELECT order_id, event_type FROM message
             WHERE customer_id = (SELECT customer_id FROM message ORDER BY message_id DESC LIMIT 1)
             ORDER BY created_at DESC, message_id DESC LIMIT 1000
         ) AS newest
         WHERE order_id = ANY ($1) AND event_type = 'order.completed'",
    ),
    (
        "analytics",
        "analytics",
        "SELECT order_id FROM timeline WHERE order_id = ANY ($1) AND event_type = 'order.completed'",
    ),
];

/// Orders whose effect is waited for, with the moment of their 201.
#[derive(Debug, Default)]
struct Waiting {
    orders: Mutex<HashMap<Uuid, Instant>>,
    /// How long those waited that are done.
    done: Mutex<Vec<Duration>>,
}

/// Sends orders for `length`, and measures each follower.
pub async fn at_a_steady_rate(platform: &Platform, length: Duration, figures: &mut Figures) -> Result<()> {
    let customer = Customer::register(platform, "steady@example.com").await?;
    let mut readers = JoinSet::new();
    let mut followers = Vec::new();
    for (name, database, query) in FOLLOWERS {
        let (url, waiting) = (platform.database_url(database), Arc::new(Waiting::default()));
        followers.push((name, waiting.clone()));
        readers.spawn(async move { look(&url, query, &waiting).await.context(name) });
    }

    let mut orders = JoinSet::new();
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / ORDERS_PER_SECOND);
    let began = Instant::now();
    let mut number = 0_u32;
    while began.elapsed() < WARM_UP + length {
        ticks.tick().await;
        let (customer, key) = (customer.clone(), format!("steady-order-{number}"));
        let watched = (began.elapsed() >= WARM_UP).then(|| followers.clone());
        orders.spawn(async move {
            let (id, took) = customer.order(&key, false).await?;
            let (id, now) = (id.parse()?, Instant::now());
            for (_, waiting) in watched.iter().flatten() {
                waiting.orders.lock().expect("nobody panicked").insert(id, now);
            }
            anyhow::Ok(watched.map(|_| took))
        });
        number += 1;
    }
    while let Some(order) = orders.join_next().await {
        if let Some(took) = order?? {
            figures.milliseconds(format!("201 at {ORDERS_PER_SECOND} orders/s"), took);
        }
    }
    let until = Instant::now() + LAST_EFFECT;
    for (name, waiting) in followers {
        while !waiting.orders.lock().expect("nobody panicked").is_empty() {
            ensure!(Instant::now() < until, "{name} has done nothing about an order");
            tokio::time::sleep(POLL).await;
        }
        for took in waiting.done.lock().expect("nobody panicked").drain(..) {
            figures.milliseconds(format!("{name} visible after the 201 at {ORDERS_PER_SECOND} orders/s"), took);
        }
    }
    readers.abort_all();
    Ok(())
}

/// Notes when each order's effect is there, for ever.
async fn look(url: &str, query: &'static str, waiting: &Waiting) -> Result<()> {
    let mut database = PgConnection::connect(url).await?;
    loop {
        let orders: Vec<Uuid> = waiting.orders.lock().expect("nobody panicked").keys().copied().collect();
        let there: Vec<Uuid> = sqlx::query_scalar(query).bind(orders).fetch_all(&mut database).await?;
        let now = Instant::now();
        for order in there {
            if let Some(answered) = waiting.orders.lock().expect("nobody panicked").remove(&order) {
                waiting.done.lock().expect("nobody panicked").push(now - answered);
            }
        }
        tokio::time::sleep(POLL).await;
    }
}
