//! All lines of an order or none, and the same answer for ever.

use contracts::{
    ids::OrderId,
    inventory::v1::{
        AlreadyReleased, MixedCurrencies, OutOfStock, ReserveRequest, UnknownSku, reserve_response::Outcome,
    },
    problem::ProblemCode,
};

use crate::shop::Shop;

fn skus(skus: &[&str]) -> Vec<String> {
    skus.iter().map(|&sku| sku.to_owned()).collect()
}

#[tokio::test]
async fn a_reservation_names_the_prices_in_the_order_of_the_request() {
    let shop = Shop::selling(&[("mug", 1_250, 10), ("tee", 1_990, 10)]).await;
    let Outcome::Reserved(reserved) = shop.reserve(OrderId::new(), &[("tee", 1), ("mug", 3)]).await else {
        panic!("there is enough")
    };
    let lines: Vec<_> = reserved
        .lines
        .iter()
        .map(|line| (line.sku.as_str(), line.quantity, line.line_total.as_ref().unwrap().amount_minor))
        .collect();
    assert_eq!(lines, [("tee", 1, 1_990), ("mug", 3, 3_750)]);
    let total = reserved.total.unwrap();
    assert_eq!((total.amount_minor, total.currency.as_str()), (5_740, "EUR"));
    assert_eq!(shop.stock("mug").await, (7, 3, 10));
    assert_eq!(shop.stock("tee").await, (9, 1, 10));
    shop.assert_stock_adds_up().await;
}

#[tokio::test]
async fn one_line_that_is_short_takes_nothing_of_the_others() {
    let shop = Shop::selling(&[("mug", 1_250, 10), ("tee", 1_990, 1)]).await;
    let short = Outcome::OutOfStock(OutOfStock { skus: skus(&["tee"]) });
    assert_eq!(shop.reserve(OrderId::new(), &[("mug", 3), ("tee", 2)]).await, short);
    assert_eq!(shop.available("mug").await, 10);
    assert_eq!(shop.available("tee").await, 1);
}

#[tokio::test]
async fn what_cannot_be_sold_together_or_at_all_is_refused() {
    let shop = Shop::selling(&[("mug", 1_250, 10)]).await;
    shop.put("cap", 900, "USD").await.unwrap();
    shop.restock(&[("caps-for-all", "cap", 5)]).await.unwrap();
    let unknown = Outcome::UnknownSku(UnknownSku { skus: skus(&["hat"]) });
    assert_eq!(shop.reserve(OrderId::new(), &[("mug", 1), ("hat", 1)]).await, unknown);
    let mixed = Outcome::MixedCurrencies(MixedCurrencies {});
    assert_eq!(shop.reserve(OrderId::new(), &[("mug", 1), ("cap", 1)]).await, mixed);
    assert_eq!(shop.available("mug").await, 10);
}

#[tokio::test]
async fn the_same_order_holds_its_stock_once_and_at_its_first_prices() {
    let shop = Shop::selling(&[("mug", 1_250, 10)]).await;
    let order = OrderId::new();
    let first = shop.reserve(order, &[("mug", 3)]).await;
    shop.put("mug", 9_999, "EUR").await.unwrap();
    assert_eq!(shop.reserve(order, &[("mug", 3)]).await, first);
    assert_eq!(shop.stock("mug").await, (7, 3, 10));
}

#[tokio::test]
async fn a_refusal_stays_a_refusal_when_stock_comes() {
    let shop = Shop::selling(&[("mug", 1_250, 1)]).await;
    let (short, unknown) = (OrderId::new(), OrderId::new());
    let refused = shop.reserve(short, &[("mug", 2)]).await;
    let not_known = shop.reserve(unknown, &[("mug", 1), ("hat", 1)]).await;
    shop.restock(&[("many more", "mug", 100)]).await.unwrap();
    shop.put("hat", 700, "EUR").await.unwrap();
    assert_eq!(shop.reserve(short, &[("mug", 2)]).await, refused);
    assert_eq!(shop.reserve(unknown, &[("mug", 1), ("hat", 1)]).await, not_known);
    // nor does a release turn it into something else
    shop.release(short).await;
    assert_eq!(shop.reserve(short, &[("mug", 2)]).await, refused);
    assert_eq!(shop.available("mug").await, 101);
}

#[tokio::test]
async fn an_order_that_comes_with_other_lines_gets_the_answer_to_its_first_ones() {
    let shop = Shop::selling(&[("mug", 1_250, 10), ("tee", 1_990, 10)]).await;
    let order = OrderId::new();
    let first = shop.reserve(order, &[("mug", 3)]).await;
    assert_eq!(shop.reserve(order, &[("tee", 1)]).await, first);
    assert_eq!(shop.available("tee").await, 10);
}

#[tokio::test]
async fn one_order_that_asks_many_times_at_once_holds_its_stock_once() {
    let shop = Shop::selling(&[("mug", 1_250, 100)]).await;
    let order = OrderId::new();
    let lines = [("mug", 5)];
    let outcomes = futures::future::join_all((0..32).map(|_| shop.reserve(order, &lines))).await;
    assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]), "{outcomes:?}");
    assert!(matches!(outcomes[0], Outcome::Reserved(_)));
    assert_eq!(shop.stock("mug").await, (95, 5, 100));
}

#[tokio::test]
async fn each_order_of_a_list_has_its_own_outcome() {
    let shop = Shop::selling(&[("mug", 1_250, 2)]).await;
    let (released, first, second) = (OrderId::new(), OrderId::new(), OrderId::new());
    shop.release(released).await;
    let item = |order: OrderId, quantity| contracts::inventory::v1::Reserve {
        order_id: order.to_string(),
        lines: vec![contracts::inventory::v1::ReserveLine { sku: "mug".to_owned(), quantity }],
        traceparent: String::new(),
    };
    let request = ReserveRequest { items: vec![item(released, 1), item(first, 2), item(second, 3)] };
    let mut stream = shop.client.clone().reserve(request).await.unwrap().into_inner();
    let mut outcomes = std::collections::HashMap::new();
    while let Some(response) = stream.message().await.unwrap() {
        outcomes.insert(response.order_id, response.outcome.unwrap());
    }
    assert_eq!(outcomes[&released.to_string()], Outcome::AlreadyReleased(AlreadyReleased {}));
    assert!(matches!(outcomes[&first.to_string()], Outcome::Reserved(_)));
    assert!(matches!(outcomes[&second.to_string()], Outcome::OutOfStock(_)));
}

#[tokio::test]
async fn a_malformed_wish_is_refused_and_leaves_nothing_behind() {
    let shop = Shop::selling(&[("mug", 1_250, 10)]).await;
    let many: Vec<String> = (0..101).map(|number| format!("sku-{number}")).collect();
    let many: Vec<(&str, u32)> = many.iter().map(|sku| (sku.as_str(), 1)).collect();
    let wrong: [&[(&str, u32)]; 6] =
        [&[], &[("mug", 0)], &[("mug", 10_001)], &[("Mug", 1)], &[("mug", 1), ("mug", 1)], &many];
    let order = OrderId::new();
    for lines in wrong {
        let status = shop.try_reserve(order, lines).await.expect_err("malformed");
        assert_eq!(rpc::problem_of(&status), ProblemCode::Invalid, "{lines:?}: {status:?}");
    }
    assert!(matches!(shop.reserve(order, &[("mug", 10)]).await, Outcome::Reserved(_)));
}

#[tokio::test]
async fn a_lost_connection_is_answered_with_try_again_and_asking_again_settles_it() {
    let shop = Shop::selling(&[("mug", 1_250, 10)]).await;
    let order = OrderId::new();
    let mut blocker = shop.database.owner.begin().await.unwrap();
    sqlx::query("SELECT FROM stock FOR UPDATE").execute(&mut *blocker).await.unwrap();
    let cut = async {
        testkit::eventually(testkit::SOON, "the reservation waits for its stock and is cut off", async || {
            sqlx::query_scalar::<_, bool>(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE datname = current_database() AND wait_event_type = 'Lock'",
            )
            .fetch_optional(&shop.database.app)
            .await
            .unwrap()
            .unwrap_or(false)
        })
        .await;
    };
    let (outcome, ()) = tokio::join!(shop.reserve(order, &[("mug", 3)]), cut);
    assert!(matches!(outcome, Outcome::TryAgain(_)), "{outcome:?}");
    blocker.rollback().await.unwrap();
    assert!(matches!(shop.reserve(order, &[("mug", 3)]).await, Outcome::Reserved(_)));
    assert_eq!(shop.stock("mug").await, (7, 3, 10));
}
