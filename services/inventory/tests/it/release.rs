//! A reservation ends once, and a release that overtakes its reservation blocks it.

use contracts::{
    ids::OrderId,
    inventory::v1::{AlreadyReleased, reserve_response::Outcome},
};

use crate::shop::Shop;

const ALREADY_RELEASED: Outcome = Outcome::AlreadyReleased(AlreadyReleased {});

#[tokio::test]
async fn a_release_gives_back_once_however_often_it_comes() {
    let shop = Shop::selling(&[("mug", 1_250, 10), ("tee", 1_990, 10)]).await;
    let (order, other) = (OrderId::new(), OrderId::new());
    shop.reserve(order, &[("mug", 3), ("tee", 1)]).await;
    shop.reserve(other, &[("mug", 2)]).await;
    futures::future::join_all((0..16).map(|_| shop.release(order))).await;
    shop.release(order).await;
    assert_eq!(shop.stock("mug").await, (8, 2, 10));
    assert_eq!(shop.stock("tee").await, (10, 0, 10));
    shop.assert_stock_adds_up().await;
}

#[tokio::test]
async fn a_released_order_never_holds_again() {
    let shop = Shop::selling(&[("mug", 1_250, 10)]).await;
    let order = OrderId::new();
    shop.reserve(order, &[("mug", 3)]).await;
    shop.release(order).await;
    assert_eq!(shop.reserve(order, &[("mug", 3)]).await, ALREADY_RELEASED);
    assert_eq!(shop.available("mug").await, 10);
}

#[tokio::test]
async fn a_release_that_comes_first_blocks_the_reservation() {
    let shop = Shop::selling(&[("mug", 1_250, 10)]).await;
    let order = OrderId::new();
    shop.release(order).await;
    shop.release(order).await;
    assert_eq!(shop.reserve(order, &[("mug", 3)]).await, ALREADY_RELEASED);
    assert_eq!(shop.available("mug").await, 10);
}
