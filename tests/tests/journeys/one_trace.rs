//! One trace, from the request to what the last follower wrote down.

use std::collections::BTreeSet;

use journeys::{
    customer::{Customer, new_key},
    platform::Platform,
};
use sqlx::PgPool;
use testkit::{SOON, eventually};

/// Where a trace is written down with what belongs to an order.
const LETTERS: &str = "SELECT traceparent FROM outbox WHERE key = $1";
const MESSAGES: &str = "SELECT traceparent FROM message WHERE order_id = $1::uuid";

#[tokio::test]
async fn what_an_order_makes_others_do_belongs_to_the_trace_of_its_request() {
    let platform = Platform::start().await;
    let customer = Customer::register(&platform).await;
    let by_telephone = customer.order_a_mug().await.expect(201).order_id();
    let by_letter = customer.order_by_letter(&new_key(), "tee", 1, "tok_visa").await.expect(202).order_id();
    let at_all = ["orders", "shipping"].as_slice();
    let by_letter_also = ["orders", "inventory", "payments", "shipping"].as_slice();
    for (order, databases) in [(by_telephone, at_all), (by_letter, by_letter_also)] {
        customer.order_with_status(&order, "COMPLETED").await;
        eventually(SOON, "its customer is told", async || {
            !traces(platform.database("notifications"), MESSAGES, &order).await.is_empty()
        })
        .await;
        eventually(SOON, "its shipment is told of", async || customer.read_order(&order).await["shipment"].is_object())
            .await;
        let mut all = traces(platform.database("notifications"), MESSAGES, &order).await;
        for database in databases {
            let letters = traces(platform.database(database), LETTERS, &order).await;
            assert!(!letters.is_empty(), "{database} has no letter of {order}");
            all.extend(letters);
        }
        assert!(all.len() == 1 && !all.contains(""), "{order} is in several traces, or in none: {all:?}");
    }
}

/// The traces of these rows; the empty text for a row without one.
async fn traces(database: &PgPool, query: &'static str, order: &str) -> BTreeSet<String> {
    let rows: Vec<Option<String>> =
        sqlx::query_scalar(query).bind(order).fetch_all(database).await.expect("the owner may read it");
    let trace =
        |row: Option<String>| row.and_then(|text| text.split('-').nth(1).map(str::to_owned)).unwrap_or_default();
    rows.into_iter().map(trace).collect()
}
