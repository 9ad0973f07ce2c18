//! Many buyers at once.

use contracts::{ids::OrderId, inventory::v1::reserve_response::Outcome};
use futures::future::join_all;

use crate::shop::Shop;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_pieces_are_sold_to_64_buyers_exactly_once() {
    let shop = Shop::selling(&[("mug", 1_250, 500)]).await;
    let buyer = async |number: u32| {
        // wants more and more by turns; gives up on a number of pieces when there are fewer left, down to single ones
        let mut pieces = 1 + number % 10;
        let mut bought = 0;
        while pieces > 0 {
            match shop.reserve(OrderId::new(), &[("mug", pieces)]).await {
                Outcome::Reserved(_) => bought += pieces,
                Outcome::OutOfStock(_) => pieces -= 1,
                other => panic!("{other:?}"),
            }
        }
        bought
    };
    let bought: u32 = join_all((0..64).map(buyer)).await.into_iter().sum();
    assert_eq!(bought, 500);
    assert_eq!(shop.stock("mug").await, (0, 500, 500));
    shop.assert_stock_adds_up().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_that_name_their_products_in_opposite_ways_never_deadlock() {
    let shop = Shop::selling(&[("a", 1, 100_000), ("b", 1, 100_000), ("c", 1, 100_000), ("d", 1, 100_000)]).await;
    let buyer = async |number: u32| {
        let mut lines = [("a", 1), ("b", 1), ("c", 1), ("d", 1)];
        lines.rotate_left((number % 4) as usize);
        if number.is_multiple_of(2) {
            lines.reverse();
        }
        for _ in 0..25 {
            let order = OrderId::new();
            // at once, so that a repeated reservation, and a release, meet the first one on its way
            let (first, again, ()) =
                tokio::join!(shop.reserve(order, &lines), shop.reserve(order, &lines), shop.release(order));
            for outcome in [first, again] {
                assert!(matches!(outcome, Outcome::Reserved(_) | Outcome::AlreadyReleased(_)), "{outcome:?}");
            }
        }
    };
    join_all((0..32).map(buyer)).await;
    assert_eq!(shop.stock("a").await, (100_000, 0, 100_000));
    shop.assert_stock_adds_up().await;
    // a connection tells its counts when it closes
    shop.database.app.close().await;
    let deadlocks: i64 =
        sqlx::query_scalar("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
            .fetch_one(&shop.database.owner)
            .await
            .unwrap();
    assert_eq!(deadlocks, 0);
}
