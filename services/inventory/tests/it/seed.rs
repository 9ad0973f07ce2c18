//! Catalogues to begin with.

use inventory::Catalogue;

use crate::shop::Shop;

#[tokio::test]
async fn seeding_again_neither_adds_stock_nor_undoes_what_was_changed() {
    let shop = Shop::open().await;
    inventory::seed(&shop.database.app, Catalogue::Demo).await.unwrap();
    shop.put("mug", 1, "EUR").await.unwrap();
    let before = shop.stock("mug").await;
    inventory::seed(&shop.database.app, Catalogue::Demo).await.unwrap();
    assert_eq!(shop.stock("mug").await, before);
    assert_eq!(shop.product("mug").await.price.unwrap().amount_minor, 1);
    assert_eq!(shop.available("last-one").await, 1);
    assert_eq!(shop.available("sold-out").await, 0);
    for plenty in ["mug", "tee", "poster", "sticker"] {
        assert!(shop.available(plenty).await > 1_000, "{plenty}");
    }
}

#[tokio::test]
async fn seeding_again_when_the_keys_of_deliveries_are_forgotten_adds_no_stock_either() {
    let shop = Shop::open().await;
    inventory::seed(&shop.database.app, Catalogue::Demo).await.unwrap();
    sqlx::query("DELETE FROM restock_receipt").execute(&shop.database.owner).await.unwrap();
    inventory::seed(&shop.database.app, Catalogue::Demo).await.unwrap();
    assert_eq!(shop.available("last-one").await, 1);
    shop.assert_stock_adds_up().await;
}

#[tokio::test]
async fn the_bench_catalogue_is_demo_and_2_000_products_that_never_run_out() {
    let shop = Shop::open().await;
    inventory::seed(&shop.database.app, Catalogue::Demo).await.unwrap();
    inventory::seed(&shop.database.app, Catalogue::Bench).await.unwrap();
    inventory::seed(&shop.database.app, Catalogue::Bench).await.unwrap();
    let (count, pieces): (i64, i64) =
        sqlx::query_as("SELECT count(*), min(received) FROM stock WHERE sku BETWEEN 'sku-0000' AND 'sku-1999'")
            .fetch_one(&shop.database.owner)
            .await
            .unwrap();
    assert_eq!((count, pieces), (2_000, 1_000_000_000));
    assert_eq!(shop.available("last-one").await, 1);
}
