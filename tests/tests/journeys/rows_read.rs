//! What an order makes the databases read.

use futures::future::try_join_all;
use journeys::{customer::Customer, platform::Platform};
use testkit::{SOON, eventually};

/// Orders, one after another, so that each is written by itself.
const ORDERS: u32 = 120;

/// The rows that an order may make a database read by an index of one table: what it writes there is read and changed some times over.
/// A statement that reads all orders for each would come to half of [`ORDERS`].
const ROWS_OF_AN_ORDER_MAX: u32 = 25;

/// Databases and the tables in which each order has a row.
const TABLES: [(&str, &str); 5] = [
    ("orders", "orders"),
    ("payments", "payments"),
    ("inventory", "reservation"),
    ("shipping", "shipment"),
    ("notifications", "message"),
];

#[tokio::test]
async fn an_order_is_found_by_its_key_also_by_plans_that_were_made_before_there_were_any() {
    let platform = Platform::start().await;
    let customer = Customer::register(&platform).await;
    // an empty table that was looked at is taken for one that stays so
    let analyze = TABLES.map(|(database, _)| sqlx::query("ANALYZE").execute(platform.database(database)));
    try_join_all(analyze).await.expect("the owner may");
    for _ in 0..ORDERS {
        customer.order_a_mug().await.expect(201);
    }
    for (database, table) in TABLES {
        eventually(SOON, &format!("each order has its row in {table}, and all of it is counted"), async || {
            let counted = "SELECT n_tup_ins >= $1 AND n_tup_upd >= $2 FROM pg_stat_user_tables WHERE relname = $3";
            // a shipment is written once, all others are changed
            let changed = if table == "shipment" { 0 } else { ORDERS };
            let counted =
                sqlx::query_scalar::<_, bool>(counted).bind(i64::from(ORDERS)).bind(i64::from(changed)).bind(table);
            counted.fetch_one(platform.database(database)).await.expect("the statistics")
        })
        .await;
        let read: i64 = sqlx::query_scalar("SELECT idx_tup_fetch FROM pg_stat_user_tables WHERE relname = $1")
            .bind(table)
            .fetch_one(platform.database(database))
            .await
            .expect("the statistics");
        assert!(read < i64::from(ORDERS * ROWS_OF_AN_ORDER_MAX), "{ORDERS} orders made {read} rows of {table} be read");
    }
}
