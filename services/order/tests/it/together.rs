//! Orders and changes of orders that are written at the same time share a transaction, and nothing else.

use contracts::order::v1::{PlaceOrder, PlacedBy, place_orders_response::Outcome};
use futures::future::join_all;
use sqlx::AssertSqlSafe;
use testkit::SOON;

use crate::desk::Desk;

fn by_letter(desk: &Desk, count: usize) -> Vec<PlaceOrder> {
    (0..count).map(|number| desk.request(PlacedBy::Letter, &format!("one-of-many-{number}"))).collect()
}

async fn count(desk: &Desk, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(&desk.database.owner).await.unwrap()
}

#[tokio::test]
async fn orders_that_wait_are_written_in_one_transaction_each_with_its_letter() {
    let desk = Desk::open().await;
    let mut holder = desk.database.owner.begin().await.unwrap();
    sqlx::query("LOCK TABLE orders IN EXCLUSIVE MODE").execute(&mut *holder).await.unwrap();
    let placing = join_all(by_letter(&desk, 30).into_iter().map(|request| desk.place(request)));
    let releasing = async {
        testkit::eventually(SOON, "somebody waits for the table", async || {
            let waiting = "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
                 WHERE NOT granted AND datname = current_database()";
            count(&desk, waiting).await > 0
        })
        .await;
        holder.commit().await.unwrap();
    };
    let (placed, ()) = tokio::join!(placing, releasing);
    assert!(placed.iter().all(|answer| matches!(answer.outcome, Some(Outcome::Accepted(_)))), "{placed:?}");
    let transactions = count(&desk, "SELECT count(DISTINCT xmin::text) FROM orders").await;
    assert!(transactions < 10, "30 orders took {transactions} transactions");
    let told =
        "SELECT count(*) FROM orders JOIN outbox ON outbox.key = orders.order_id::text AND outbox.xmin = orders.xmin";
    assert_eq!(count(&desk, told).await, 30);
}

#[tokio::test]
async fn of_requests_with_one_key_in_one_transaction_the_first_makes_the_order() {
    let desk = Desk::open().await;
    let requests: Vec<PlaceOrder> = (0..5).map(|_| desk.request(PlacedBy::Letter, "the-same-key")).collect();
    let placed = join_all(requests.into_iter().map(|request| desk.place(request))).await;
    let mut orders: Vec<String> = placed
        .iter()
        .map(|answer| match &answer.outcome {
            Some(Outcome::Accepted(order)) => order.order_id.clone(),
            other => panic!("it is answered as the first was: {other:?}"),
        })
        .collect();
    orders.dedup();
    assert_eq!(orders.len(), 1);
    assert_eq!(placed.iter().filter(|answer| !answer.replayed).count(), 1);
    assert_eq!(count(&desk, "SELECT count(*) FROM outbox").await, 1);
}

#[tokio::test]
async fn an_order_that_cannot_be_written_takes_no_other_with_it() {
    let desk = Desk::open().await;
    let mut requests = by_letter(&desk, 9);
    let unlucky = requests[5].order_id.clone();
    let rule = format!("ALTER TABLE orders ADD CONSTRAINT of_this_test CHECK (order_id <> '{unlucky}')");
    sqlx::query(AssertSqlSafe(rule)).execute(&desk.database.owner).await.unwrap();
    requests.rotate_left(1);
    let placed = join_all(requests.into_iter().map(|request| desk.place(request))).await;
    let refused: Vec<&str> = placed
        .iter()
        .filter(|answer| matches!(answer.outcome, Some(Outcome::Refused(_))))
        .map(|answer| answer.requested_order_id.as_str())
        .collect();
    assert_eq!(refused, [unlucky.as_str()]);
    assert_eq!(count(&desk, "SELECT count(*) FROM orders").await, 8);
}
