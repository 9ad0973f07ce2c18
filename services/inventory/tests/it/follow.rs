//! What a completed order held is sold, and comes back when the order is cancelled; never more than once.

use contracts::{
    ids::OrderId,
    inventory::v1::{AlreadyReleased, release_response, reserve_response::Outcome},
    order::v1::PlacedBy,
};
use futures::future::join_all;

use crate::post::{Post, cancelled, completed, created};

#[tokio::test]
async fn a_completed_orders_stock_is_sold_and_a_cancelled_ones_comes_back() {
    let post = Post::selling(&[("mug", 1_250, 10), ("tee", 1_990, 10)]).await;
    let (stays, returns) = (OrderId::new(), OrderId::new());
    for order in [stays, returns] {
        post.shop.reserve(order, &[("tee", 1), ("mug", 3)]).await;
        post.post(&completed(order)).await;
    }
    assert!(post.letters_until_now().await.is_empty());
    assert_eq!(post.shop.pieces("mug").await, (4, 0, 6));
    post.post(&cancelled(returns)).await;
    post.letters_until_now().await;
    assert_eq!(post.shop.pieces("mug").await, (7, 0, 3));
    assert_eq!(post.shop.pieces("tee").await, (9, 0, 1));
    post.shop.assert_stock_adds_up().await;
}

#[tokio::test]
async fn letters_that_come_again_in_any_order_move_no_piece_twice() {
    let post = Post::selling(&[("mug", 1_250, 10)]).await;
    let order = OrderId::new();
    post.shop.reserve(order, &[("mug", 3)]).await;
    for letter in [completed(order), completed(order), cancelled(order), completed(order), cancelled(order)] {
        post.post(&letter).await;
    }
    post.letters_until_now().await;
    assert_eq!(post.shop.pieces("mug").await, (10, 0, 0));
    assert!(post.parked(0).await.is_empty());
}

#[tokio::test]
async fn cancelling_an_order_that_bought_nothing_changes_nothing() {
    let post = Post::selling(&[("mug", 1_250, 10)]).await;
    let (released, refused, unheard_of) = (OrderId::new(), OrderId::new(), OrderId::new());
    post.shop.reserve(released, &[("mug", 3)]).await;
    post.shop.release(released).await;
    post.shop.reserve(refused, &[("mug", 11)]).await;
    for order in [released, refused, unheard_of] {
        post.post(&cancelled(order)).await;
    }
    post.letters_until_now().await;
    assert_eq!(post.shop.pieces("mug").await, (10, 0, 0));
    assert!(post.parked(0).await.is_empty());
}

#[tokio::test]
async fn a_letter_that_contradicts_what_is_known_is_parked_and_moves_nothing() {
    let post = Post::selling(&[("mug", 1_250, 10)]).await;
    let (unheard_of, refused, released, held) = (OrderId::new(), OrderId::new(), OrderId::new(), OrderId::new());
    post.shop.reserve(refused, &[("mug", 11)]).await;
    post.shop.release(released).await;
    post.shop.reserve(held, &[("mug", 3)]).await;
    for letter in [completed(unheard_of), completed(refused), completed(released), cancelled(held)] {
        post.post(&letter).await;
    }
    let sentences = [
        format!("order {unheard_of} is completed, but it never reserved anything"),
        format!("order {refused} is completed, but its reservation is REFUSED"),
        format!("order {released} is completed, but its reservation is RELEASED"),
        format!("order {held} is cancelled, but its reservation is HELD"),
    ];
    let orders = [unheard_of, refused, released, held].map(|order| order.to_string());
    assert_eq!(post.parked(4).await, orders.into_iter().zip(sentences).collect::<Vec<_>>());
    // other orders go on
    let order = OrderId::new();
    post.shop.reserve(order, &[("mug", 1)]).await;
    post.post(&completed(order)).await;
    post.letters_until_now().await;
    assert_eq!(post.shop.pieces("mug").await, (6, 3, 1));
    post.shop.assert_stock_adds_up().await;
}

#[tokio::test]
async fn stock_that_is_sold_is_not_released_by_telephone() {
    let post = Post::selling(&[("mug", 1_250, 10)]).await;
    let order = OrderId::new();
    let reserved = post.shop.reserve(order, &[("mug", 3)]).await;
    post.post(&completed(order)).await;
    post.letters_until_now().await;
    let Some(release_response::Outcome::TryAgain(try_again)) = post.shop.try_release(order).await else {
        panic!("the order was completed")
    };
    assert_eq!(try_again.detail, format!("order {order} is to be released, but its reservation is SETTLED"));
    assert_eq!(post.shop.pieces("mug").await, (7, 0, 3));
    // it was reserved, so that is what it is told again
    assert_eq!(post.shop.reserve(order, &[("mug", 3)]).await, reserved);
    // and once it is back, nothing is left to release
    post.post(&cancelled(order)).await;
    post.letters_until_now().await;
    post.shop.release(order).await;
    assert_eq!(post.shop.reserve(order, &[("mug", 3)]).await, Outcome::AlreadyReleased(AlreadyReleased {}));
    assert_eq!(post.shop.pieces("mug").await, (10, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_of_letters_never_costs_a_customer_his_call() {
    const PLENTY: i64 = 100_000;
    let post = Post::selling(&[("a", 1, PLENTY), ("b", 1, PLENTY), ("c", 1, PLENTY)]).await;
    let pairs: [[(&str, u32); 2]; 3] = [[("a", 1), ("b", 1)], [("b", 1), ("c", 1)], [("a", 1), ("c", 1)]];
    let sold: Vec<OrderId> = (0..150).map(|_| OrderId::new()).collect();
    for (number, &order) in sold.iter().enumerate() {
        post.shop.reserve(order, &pairs[number % 3]).await;
    }
    // each letter alone takes its stock by SKU; one after another in a batch they do not
    let posting = async {
        for (number, &order) in sold.iter().enumerate() {
            post.post(&completed(order)).await;
            post.post(&created(OrderId::new(), PlacedBy::Letter, &pairs[(number + 1) % 3])).await;
        }
        post.letters_until_now().await
    };
    let customer = async |number: usize| {
        let mut outcomes = Vec::new();
        for round in 0..40 {
            outcomes.push(post.shop.reserve(OrderId::new(), &pairs[(number + round) % 3]).await);
        }
        outcomes
    };
    let (letters, outcomes) = tokio::join!(posting, join_all((0..16).map(customer)));
    assert_eq!(letters.len(), 150);
    for outcome in outcomes.into_iter().flatten() {
        assert!(matches!(outcome, Outcome::Reserved(_)), "{outcome:?}");
    }
    post.shop.assert_stock_adds_up().await;
    assert!(post.parked(0).await.is_empty());
}
