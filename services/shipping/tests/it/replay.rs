//! `shipping replay`: shipments that were lost are made again, and no other.

use contracts::{ids::OrderId, shipping::v1::ShipmentStatus};
use testkit::{SOON, eventually};

use crate::depot::{Depot, NEVER};

#[tokio::test]
async fn shipments_that_were_lost_are_made_again_and_none_is_made_twice() {
    let depot = Depot::open(NEVER).await;
    let (kept, lost) = (depot.preparing().await, [depot.preparing().await, depot.preparing().await]);
    let parcel = depot.shipment(kept).await.unwrap();
    // as after a backup that is older than these two: neither the rows nor their letters are there
    for order in lost {
        for statement in ["DELETE FROM shipment WHERE order_id::text = $1", "DELETE FROM outbox WHERE key = $1"] {
            let text = order.to_string();
            sqlx::query(statement).bind(text).execute(&depot.database.owner).await.unwrap();
        }
    }
    depot.replay().await;
    depot.replay().await;
    for order in lost {
        depot.reaches(order, ShipmentStatus::Preparing).await;
    }
    eventually(SOON, "nothing is left to do", async || count(&depot, "address_question").await == 0).await;
    assert_eq!(count(&depot, "shipment").await, 3);
    assert_eq!(depot.shipment(kept).await.unwrap(), parcel, "what was there stays as it is");
    for order in [kept, lost[0], lost[1]] {
        assert_eq!(letters(&depot, order).await, 1, "one letter for each");
    }
}

async fn count(depot: &Depot, table: &str) -> i64 {
    let query = match table {
        "shipment" => "SELECT count(*) FROM shipment",
        _ => "SELECT count(*) FROM address_question",
    };
    sqlx::query_scalar(query).fetch_one(&depot.database.owner).await.unwrap()
}

async fn letters(depot: &Depot, order: OrderId) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM outbox WHERE key = $1")
        .bind(order.to_string())
        .fetch_one(&depot.database.owner)
        .await
        .unwrap()
}
