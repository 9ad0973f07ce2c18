//! The card network's own books: what it captured, gave back and voided, whatever the platform believes.

use serde_json::Value;

use crate::platform::Platform;

/// What the network's books say about one order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Account {
    /// Charges that were captured, whatever became of them.
    pub captures: usize,
    /// Minor units that are neither given back nor voided.
    pub kept_minor: i64,
    /// Minor units that were given back by refunds.
    pub refunded_minor: i64,
}

/// The network's account of one order.
pub async fn account(platform: &Platform, order_id: &str) -> Account {
    let mut account = Account::default();
    for capture in captures(platform).await.iter().filter(|capture| capture["merchant_reference"] == order_id) {
        let minor = |field: &str| capture[field]["amount_minor"].as_i64().expect("an amount");
        account.captures += 1;
        account.refunded_minor += minor("refunded");
        if capture["voided"] == false {
            account.kept_minor += minor("amount") - minor("refunded");
        }
    }
    account
}

/// Every capture in the books.
pub async fn captures(platform: &Platform) -> Vec<Value> {
    let (mut captures, mut cursor) = (Vec::new(), String::new());
    loop {
        let url = format!("{}/captures?since=2020-01-01T00:00:00Z{cursor}", platform.url("psp"));
        let page = reqwest::get(url).await.expect("the network answers").bytes().await.expect("it answers whole");
        let page: Value = serde_json::from_slice(&page).expect("JSON");
        captures.extend(page["items"].as_array().expect("a list").clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return captures,
        }
    }
}

/// What payment's own ledger says that it keeps for one order, in minor units: captured less voided and refunded.
pub async fn kept_by_ledger(platform: &Platform, order_id: &str) -> i64 {
    sqlx::query_scalar(
        "SELECT coalesce(sum(CASE kind WHEN 'CAPTURE' THEN amount_minor ELSE -amount_minor END), 0)::bigint
         FROM transfers WHERE order_id = $1::uuid",
    )
    .bind(order_id)
    .fetch_one(platform.database("payments"))
    .await
    .expect("payment has its ledger")
}
