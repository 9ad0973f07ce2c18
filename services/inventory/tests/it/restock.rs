//! Deliveries count once.

use contracts::problem::ProblemCode;
use futures::future::join_all;

use crate::shop::Shop;

#[tokio::test]
async fn a_delivery_counts_once_by_its_key() {
    let shop = Shop::selling(&[("mug", 1_250, 0), ("tee", 1_990, 0)]).await;
    let deliveries = [("monday-mugs", "mug", 5), ("monday-tees", "tee", 7), ("monday-mugs-2", "mug", 1)];
    let first = shop.restock(&deliveries).await.unwrap();
    let items: Vec<_> = first.items.iter().map(|item| (item.sku.as_str(), item.available)).collect();
    assert_eq!((items.as_slice(), first.replayed), ([("mug", 6), ("tee", 7)].as_slice(), false));
    let again = shop.restock(&deliveries).await.unwrap();
    assert_eq!((again.items, again.replayed), (first.items, true));
    let partly = shop.restock(&[("monday-mugs", "mug", 5), ("tuesday-mugs", "mug", 5)]).await.unwrap();
    assert!(!partly.replayed);
    assert_eq!(shop.stock("mug").await, (11, 0, 11));
}

#[tokio::test]
async fn a_delivery_that_comes_many_times_at_once_counts_once() {
    let shop = Shop::selling(&[("mug", 1_250, 0)]).await;
    let delivery = [("monday-mugs", "mug", 5)];
    let answers = join_all((0..16).map(|_| shop.restock(&delivery))).await;
    let counted = answers.into_iter().filter(|answer| !answer.as_ref().unwrap().replayed).count();
    assert_eq!(counted, 1);
    assert_eq!(shop.stock("mug").await, (5, 0, 5));
}

#[tokio::test]
async fn a_key_of_another_delivery_is_refused() {
    let shop = Shop::selling(&[("mug", 1_250, 0), ("tee", 1_990, 0)]).await;
    shop.restock(&[("monday-mugs", "mug", 5)]).await.unwrap();
    for other in [("monday-mugs", "mug", 6), ("monday-mugs", "tee", 5)] {
        let status = shop.restock(&[other]).await.unwrap_err();
        assert_eq!(rpc::problem_of(&status), ProblemCode::IdempotencyKeyReused);
    }
    assert_eq!(shop.stock("mug").await, (5, 0, 5));
    assert_eq!(shop.stock("tee").await, (0, 0, 0));
}

#[tokio::test]
async fn a_delivery_of_an_unknown_product_uses_up_no_key() {
    let shop = Shop::open().await;
    let status = shop.restock(&[("monday-mugs", "mug", 5)]).await.unwrap_err();
    assert_eq!(rpc::problem_of(&status), ProblemCode::NotFound);
    shop.put("mug", 1_250, "EUR").await.unwrap();
    assert!(!shop.restock(&[("monday-mugs", "mug", 5)]).await.unwrap().replayed);
}

#[tokio::test]
async fn malformed_deliveries_are_refused() {
    let shop = Shop::selling(&[("mug", 1_250, 0)]).await;
    let many: Vec<String> = (0..1_001).map(|number| format!("delivery-{number}")).collect();
    let many: Vec<(&str, &str, i64)> = many.iter().map(|key| (key.as_str(), "mug", 1)).collect();
    let wrong: [&[(&str, &str, i64)]; 6] = [
        &[],
        &[("short", "mug", 1)],
        &[("monday-mugs", "Mug", 1)],
        &[("monday-mugs", "mug", 0)],
        &[("monday-mugs", "mug", 1_000_000_001)],
        &many,
    ];
    for deliveries in wrong {
        let status = shop.restock(deliveries).await.unwrap_err();
        assert_eq!(rpc::problem_of(&status), ProblemCode::Invalid, "{status:?}");
    }
}
