//! What operators do has its entry in the log, and nothing else has.

use contracts::{inventory::v1::PutProductRequest, problem::ProblemCode};
use futures::future::join_all;
use inventory::Catalogue;
use serde_json::json;

use crate::shop::Shop;

#[tokio::test]
async fn a_product_that_is_put_is_noted_with_what_it_was_and_what_it_is() {
    let shop = Shop::open().await;
    shop.put("mug", 1_250, "EUR").await.unwrap();
    shop.put("mug", 1_250, "EUR").await.unwrap();
    shop.put("mug", 1_500, "EUR").await.unwrap();
    let who = shop.operator.to_string();
    let euros = |minor: i64| json!({"amount_minor": minor, "currency": "EUR"});
    let (put, mug) = ("put-product".to_owned(), "product/mug".to_owned());
    let new = json!({"name": {"before": null, "after": "The mug"}, "price": {"before": null, "after": euros(1_250)}});
    let dearer = json!({"price": {"before": euros(1_250), "after": euros(1_500)}});
    let wanted = [(who.clone(), put.clone(), mug.clone(), new), (who, put, mug, dearer)];
    assert_eq!(shop.operator_log().await, wanted, "what changes nothing is not noted");
}

#[tokio::test]
async fn a_price_that_many_set_at_once_is_noted_by_who_changed_it_from_what_it_was() {
    let shop = Shop::selling(&[("mug", 1_000, 0)]).await;
    let prices = [1_100, 1_200, 1_100, 1_200, 1_300, 1_300];
    for put in join_all(prices.map(|price| shop.put("mug", price, "EUR"))).await {
        put.unwrap();
    }
    let log = shop.operator_log().await;
    let minor = |detail: &serde_json::Value, side: &str| detail["price"][side]["amount_minor"].as_i64();
    for pair in log.windows(2) {
        let ((.., one), (.., next)) = (&pair[0], &pair[1]);
        assert_eq!(minor(one, "after"), minor(next, "before"), "{log:?}");
    }
    let mug = shop.product("mug").await;
    assert_eq!(minor(&log.last().unwrap().3, "after"), Some(mug.price.unwrap().amount_minor));
    assert_eq!(i64::try_from(log.len()).unwrap(), mug.version, "each version has its entry");
}

#[tokio::test]
async fn a_delivery_is_noted_once_however_often_it_comes() {
    let shop = Shop::selling(&[("mug", 1_250, 0)]).await;
    let before = shop.operator_log().await.len();
    let delivery = [("monday-mugs", "mug", 5)];
    for answer in join_all((0..16).map(|_| shop.restock(&delivery))).await {
        answer.unwrap();
    }
    shop.restock(&[("tuesday-mugs", "mug", 2)]).await.unwrap();
    let log = shop.operator_log().await.split_off(before);
    let entry = |quantity: i64, pieces: i64| {
        let pieces = json!({"before": pieces - quantity, "after": pieces});
        let detail = json!({"quantity": quantity, "available": pieces, "received": pieces});
        (shop.operator.to_string(), "restock".to_owned(), "product/mug".to_owned(), detail)
    };
    assert_eq!(log, [entry(5, 5), entry(2, 7)]);
}

#[tokio::test]
async fn what_is_refused_is_not_noted() {
    let mut shop = Shop::selling(&[("mug", 1_250, 3)]).await;
    let before = shop.operator_log().await;
    for refused in [("delivery of mug", "mug", 4), ("a new key", "nothing", 1), ("a new key", "mug", 0)] {
        shop.restock(&[refused]).await.unwrap_err();
    }
    shop.put("mug", -1, "EUR").await.unwrap_err();
    let request = PutProductRequest {
        sku: "mug".to_owned(),
        name: "Cup".to_owned(),
        price: Some(contracts::money::v1::Money { amount_minor: 1, currency: "EUR".to_owned() }),
        operator_id: "ops".to_owned(),
    };
    let status = shop.client.put_product(request).await.unwrap_err();
    assert_eq!(rpc::problem_of(&status), ProblemCode::Invalid);
    assert!(status.message().starts_with("operator_id: "), "{status:?}");
    assert_eq!(shop.operator_log().await, before);
}

#[tokio::test]
async fn a_caller_that_names_nobody_is_served_and_noted_as_unnamed() {
    let mut shop = Shop::open().await;
    let request = PutProductRequest {
        sku: "mug".to_owned(),
        name: "Mug".to_owned(),
        price: Some(contracts::money::v1::Money { amount_minor: 1, currency: "EUR".to_owned() }),
        operator_id: String::new(),
    };
    shop.client.put_product(request).await.unwrap();
    let log = shop.operator_log().await;
    assert_eq!((log.len(), log[0].0.as_str(), log[0].1.as_str()), (1, "unnamed", "put-product"));
}

#[tokio::test]
async fn a_catalogue_is_noted_when_it_is_seeded_and_not_when_it_was_there() {
    let shop = Shop::open().await;
    for _ in 0..2 {
        inventory::seed(&shop.database.app, Catalogue::Demo).await.unwrap();
    }
    let (who, what) = ("command line".to_owned(), "seed".to_owned());
    assert_eq!(shop.operator_log().await, [(who, what, "catalogue/demo".to_owned(), json!({"products": 6}))]);
}
