//! Reservations that come at the same time share a transaction, and nothing else.

use std::collections::BTreeMap;

use contracts::{
    ids::OrderId,
    inventory::v1::{Reserve, ReserveLine, ReserveRequest, reserve_response::Outcome},
};
use sqlx::AssertSqlSafe;
use testkit::SOON;

use crate::shop::Shop;

/// One call with a wish for so many mugs for each of these orders; gives each order's outcomes.
async fn reserve_mugs(shop: &Shop, wishes: &[(OrderId, u32)]) -> BTreeMap<String, Vec<Outcome>> {
    let item = |&(order, quantity): &(OrderId, u32)| Reserve {
        order_id: order.to_string(),
        lines: vec![ReserveLine { sku: "mug".to_owned(), quantity }],
        traceparent: String::new(),
    };
    let items = wishes.iter().map(item).collect();
    let mut answers = shop.client.clone().reserve(ReserveRequest { items }).await.unwrap().into_inner();
    let mut outcomes: BTreeMap<String, Vec<Outcome>> = BTreeMap::new();
    while let Some(answer) = answers.message().await.unwrap() {
        outcomes.entry(answer.order_id).or_default().push(answer.outcome.expect("an outcome is one of those known"));
    }
    outcomes
}

fn held(outcomes: &BTreeMap<String, Vec<Outcome>>) -> usize {
    outcomes.values().filter(|outcomes| matches!(outcomes[0], Outcome::Reserved(_))).count()
}

#[tokio::test]
async fn what_waits_for_the_same_stock_is_decided_in_one_transaction_and_never_sells_a_piece_twice() {
    let shop = Shop::selling(&[("mug", 1_250, 10)]).await;
    let mut holder = shop.database.owner.begin().await.unwrap();
    sqlx::query("SELECT FROM stock WHERE sku = 'mug' FOR UPDATE").execute(&mut *holder).await.unwrap();
    let first = [(OrderId::new(), 1)];
    let others: Vec<(OrderId, u32)> = (0..30).map(|_| (OrderId::new(), 1)).collect();
    let asking = async { tokio::join!(reserve_mugs(&shop, &first), reserve_mugs(&shop, &others)) };
    let releasing = async {
        testkit::eventually(SOON, "somebody waits for the stock", async || {
            let waiting = "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
                 WHERE NOT granted AND datname = current_database()";
            sqlx::query_scalar::<_, i64>(waiting).fetch_one(&shop.database.owner).await.unwrap() > 0
        })
        .await;
        holder.commit().await.unwrap();
    };
    let ((first, others), ()) = tokio::join!(asking, releasing);
    assert_eq!(held(&first) + held(&others), 10);
    let transactions: i64 = sqlx::query_scalar("SELECT count(DISTINCT xmin::text) FROM reservation")
        .fetch_one(&shop.database.owner)
        .await
        .unwrap();
    assert!(transactions < 10, "31 reservations took {transactions} transactions");
    assert_eq!(shop.stock("mug").await, (0, 10, 10));
    shop.assert_stock_adds_up().await;
}

#[tokio::test]
async fn an_order_that_asks_twice_at_the_same_time_holds_its_stock_once() {
    let shop = Shop::selling(&[("mug", 1_250, 10)]).await;
    let order = OrderId::new();
    let outcomes = reserve_mugs(&shop, &[(order, 3), (OrderId::new(), 1), (order, 3)]).await;
    let told = &outcomes[&order.to_string()];
    assert_eq!(told.len(), 2);
    assert_eq!(told[0], told[1]);
    assert_eq!(shop.stock("mug").await, (6, 4, 10));
}

#[tokio::test]
async fn a_reservation_that_cannot_be_written_takes_no_other_with_it() {
    let shop = Shop::selling(&[("mug", 1_250, 10)]).await;
    let unlucky = OrderId::new();
    let rule = format!("ALTER TABLE reservation ADD CONSTRAINT of_this_test CHECK (order_id <> '{unlucky}')");
    sqlx::query(AssertSqlSafe(rule)).execute(&shop.database.owner).await.unwrap();
    let mut wishes: Vec<(OrderId, u32)> = (0..8).map(|_| (OrderId::new(), 1)).collect();
    wishes.insert(5, (unlucky, 1));
    let outcomes = reserve_mugs(&shop, &wishes).await;
    assert_eq!(held(&outcomes), 8);
    assert!(matches!(outcomes[&unlucky.to_string()][0], Outcome::TryAgain(_)));
    assert_eq!(shop.stock("mug").await, (2, 8, 10));
}

#[tokio::test]
async fn an_order_of_unknown_products_that_asks_again_is_told_the_same_again() {
    let shop = Shop::selling(&[("mug", 1_250, 10)]).await;
    let order = OrderId::new();
    let first = shop.reserve(order, &[("hat", 1)]).await;
    assert!(matches!(first, Outcome::UnknownSku(_)));
    assert_eq!(shop.reserve(order, &[("hat", 1)]).await, first);
    let released = OrderId::new();
    shop.release(released).await;
    assert!(matches!(shop.reserve(released, &[("hat", 1)]).await, Outcome::AlreadyReleased(_)));
}
