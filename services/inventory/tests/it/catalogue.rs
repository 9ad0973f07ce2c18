//! Products and their pages.

use contracts::{
    inventory::v1::{ListProductsRequest, ListProductsResponse, Product},
    problem::ProblemCode,
};
use tonic::Status;

use crate::shop::Shop;

async fn page(shop: &Shop, limit: u32, cursor: &str) -> Result<ListProductsResponse, Status> {
    let request = ListProductsRequest { limit, cursor: cursor.to_owned() };
    Ok(shop.client.clone().list_products(request).await?.into_inner())
}

#[tokio::test]
async fn pages_show_every_product_once_by_sku() {
    // a locale would sort some of these otherwise
    let shop =
        Shop::selling(&[("a-b", 1, 0), ("a0", 1, 0), ("aa", 1, 3), ("b", 1, 0), ("a", 1, 0), ("ab", 1, 0)]).await;
    for limit in 1..=7 {
        let (mut seen, mut cursor) = (Vec::<Product>::new(), String::new());
        loop {
            let page = page(&shop, limit, &cursor).await.unwrap();
            assert!(page.items.len() <= limit as usize);
            seen.extend(page.items);
            assert!(seen.len() <= 6, "pages of {limit} show a product twice: {seen:?}");
            if page.next_cursor.is_empty() {
                break;
            }
            cursor = page.next_cursor;
        }
        let skus: Vec<&str> = seen.iter().map(|product| product.sku.as_str()).collect();
        assert_eq!(skus, ["a", "a-b", "a0", "aa", "ab", "b"], "pages of {limit}");
        assert_eq!(seen[3].available, 3);
    }
}

#[tokio::test]
async fn a_page_has_1_to_100_products_and_a_cursor_is_one_of_ours() {
    let shop = Shop::open().await;
    for (limit, cursor) in [(0, ""), (101, ""), (20, "Not a cursor")] {
        let status = page(&shop, limit, cursor).await.unwrap_err();
        assert_eq!(rpc::problem_of(&status), ProblemCode::Invalid);
    }
    assert_eq!(page(&shop, 100, "").await.unwrap(), ListProductsResponse::default());
}

#[tokio::test]
async fn the_version_counts_changes_and_the_stock_stays() {
    let shop = Shop::selling(&[("mug", 1_250, 4)]).await;
    assert_eq!(shop.put("mug", 1_250, "EUR").await.unwrap().version, 1);
    let dearer = shop.put("mug", 1_500, "EUR").await.unwrap();
    assert_eq!((dearer.version, dearer.available), (2, 4));
    assert_eq!(shop.put("mug", 1_500, "USD").await.unwrap().version, 3);
    let mug = shop.product("mug").await;
    assert_eq!((mug.name.as_str(), mug.version, mug.available), ("The mug", 3, 4));
}

#[tokio::test]
async fn malformed_products_are_refused() {
    let shop = Shop::open().await;
    for (sku, price_minor, currency) in [
        ("Mug", 1, "EUR"),
        ("", 1, "EUR"),
        ("mug", -1, "EUR"),
        ("mug", 1, "eur"),
        ("mug", inventory::PRICE_MINOR_MAX + 1, "EUR"),
    ] {
        let status = shop.put(sku, price_minor, currency).await.unwrap_err();
        assert_eq!(rpc::problem_of(&status), ProblemCode::Invalid, "{sku} {price_minor} {currency}");
    }
    assert!(shop.put("mug", inventory::PRICE_MINOR_MAX, "EUR").await.is_ok());
}
