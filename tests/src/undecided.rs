//! Which orders have not ended, and what they wait for.

use std::collections::BTreeMap;

use crate::platform::Platform;

/// The orders that have not ended yet, and what they wait for.
pub async fn orders(platform: &Platform) -> Vec<String> {
    let orders: Vec<(String, String)> = sqlx::query_as(
        "SELECT order_id::text, concat_ws(' ', saga_state, 'version', version, 'of', created_at, 'attempts', attempts,
             'next', attempt_at, 'last error', last_error, 'at', now())
         FROM orders WHERE saga_state NOT IN ('COMPLETED', 'REJECTED', 'CANCELLED', 'REFUNDED')",
    )
    .fetch_all(platform.database("orders"))
    .await
    .expect("order has its table");
    let work: Vec<(String, String)> = sqlx::query_as(
        "SELECT order_id::text, concat_ws(' ', 'charge attempts', attempts, 'next', attempt_at) FROM charge_work",
    )
    .fetch_all(platform.database("payments"))
    .await
    .expect("payment has its table");
    let mut work: BTreeMap<String, String> = work.into_iter().collect();
    let told = |(id, state): (String, String)| {
        let charge = work.remove(&id).unwrap_or_default();
        format!("{id} {state} {charge}")
    };
    orders.into_iter().map(told).collect()
}
