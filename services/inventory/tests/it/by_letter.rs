//! The second door: an order that was placed by letter is answered by letter, by the same rule as by telephone.

use contracts::{
    events::v1::{ReservationHeld, ReservationRefused, reservation_refused::Refusal},
    ids::OrderId,
    inventory::v1::{AlreadyReleased, MixedCurrencies, OutOfStock, UnknownSku, reserve_response::Outcome},
    order::v1::PlacedBy,
};

use crate::post::{Post, completed, created, story};

#[tokio::test]
async fn an_order_by_letter_holds_its_stock_and_is_told_the_prices() {
    let post = Post::selling(&[("mug", 1_250, 10), ("tee", 1_990, 10)]).await;
    let order = OrderId::new();
    let lines = [("tee", 1), ("mug", 3)];
    post.post(&created(order, PlacedBy::Letter, &lines)).await;
    let letters = post.letters_until(order).await;
    assert_eq!(story(&letters, order), [("reservation.held", 1)]);
    let held = letters[0].decode::<ReservationHeld>().unwrap();
    assert_eq!(held.order_id, order.to_string());
    let reserved = held.reserved.unwrap();
    assert_eq!(reserved.total.as_ref().unwrap().amount_minor, 5_740);
    // asked by telephone, the order gets the same answer
    assert_eq!(post.shop.reserve(order, &lines).await, Outcome::Reserved(reserved));
    assert_eq!(post.shop.pieces("mug").await, (7, 3, 0));
    post.shop.assert_stock_adds_up().await;
}

#[tokio::test]
async fn an_order_by_letter_that_cannot_be_served_is_told_why() {
    let post = Post::selling(&[("mug", 1_250, 1)]).await;
    post.shop.put("cap", 900, "USD").await.unwrap();
    post.shop.restock(&[("caps-for-all", "cap", 5)]).await.unwrap();
    let skus = |sku: &str| vec![sku.to_owned()];
    let cases: [(&[(&str, u32)], Refusal); 3] = [
        (&[("mug", 2)], Refusal::OutOfStock(OutOfStock { skus: skus("mug") })),
        (&[("mug", 1), ("hat", 1)], Refusal::UnknownSku(UnknownSku { skus: skus("hat") })),
        (&[("mug", 1), ("cap", 1)], Refusal::MixedCurrencies(MixedCurrencies {})),
    ];
    for (lines, refusal) in cases {
        let order = OrderId::new();
        post.post(&created(order, PlacedBy::Letter, lines)).await;
        let letters = post.letters_until(order).await;
        assert_eq!(story(&letters, order), [("reservation.refused", 1)]);
        let refused = letters.last().unwrap().decode::<ReservationRefused>().unwrap();
        assert_eq!(refused, ReservationRefused { order_id: order.to_string(), refusal: Some(refusal) });
    }
    assert_eq!(post.shop.pieces("mug").await, (1, 0, 0));
}

#[tokio::test]
async fn an_order_by_telephone_is_not_answered_by_letter() {
    let post = Post::selling(&[("mug", 1_250, 10)]).await;
    for placed_by in [PlacedBy::Telephone, PlacedBy::Unspecified] {
        post.post(&created(OrderId::new(), placed_by, &[("mug", 1)])).await;
    }
    assert!(post.letters_until_now().await.is_empty());
    assert_eq!(post.shop.pieces("mug").await, (10, 0, 0));
}

#[tokio::test]
async fn a_letter_that_comes_again_holds_nothing_more_and_is_answered_once() {
    let post = Post::selling(&[("mug", 1_250, 10)]).await;
    let (order, short) = (OrderId::new(), OrderId::new());
    for letter in [created(order, PlacedBy::Letter, &[("mug", 3)]), created(short, PlacedBy::Letter, &[("mug", 8)])] {
        post.post(&letter).await;
        post.post(&letter).await;
        // also when the first is long done, and when the order has gone on
        post.letters_until_now().await;
        post.post(&letter).await;
    }
    post.post(&completed(order)).await;
    post.post(&created(order, PlacedBy::Letter, &[("mug", 3)])).await;
    let letters = post.letters_until_now().await;
    assert_eq!(story(&letters, order), [("reservation.held", 1)]);
    assert_eq!(story(&letters, short), [("reservation.refused", 1)]);
    assert_eq!(post.shop.pieces("mug").await, (7, 0, 3));
    post.shop.assert_stock_adds_up().await;
}

#[tokio::test]
async fn a_release_that_overtakes_the_letter_leaves_nothing_to_hold_and_nothing_to_tell() {
    let post = Post::selling(&[("mug", 1_250, 10)]).await;
    let order = OrderId::new();
    post.shop.release(order).await;
    post.post(&created(order, PlacedBy::Letter, &[("mug", 3)])).await;
    assert!(post.letters_until_now().await.is_empty());
    assert_eq!(post.shop.reserve(order, &[("mug", 3)]).await, Outcome::AlreadyReleased(AlreadyReleased {}));
    assert_eq!(post.shop.pieces("mug").await, (10, 0, 0));
}

#[tokio::test]
async fn the_last_piece_goes_to_one_order_whichever_doors_they_came_through() {
    let post = Post::selling(&[("mug", 1_250, 20)]).await;
    let by_letter: Vec<OrderId> = (0..20).map(|_| OrderId::new()).collect();
    let posting = async {
        for &order in &by_letter {
            post.post(&created(order, PlacedBy::Letter, &[("mug", 1)])).await;
        }
        post.letters_until_now().await
    };
    let telephoning = futures::future::join_all((0..20).map(|_| post.shop.reserve(OrderId::new(), &[("mug", 1)])));
    let (letters, outcomes) = tokio::join!(posting, telephoning);
    let told = letters.iter().filter(|letter| letter.event_type == "reservation.held").count();
    let answered = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Reserved(_))).count();
    assert_eq!((letters.len(), told + answered), (20, 20));
    assert_eq!(post.shop.pieces("mug").await, (0, 20, 0));
    post.shop.assert_stock_adds_up().await;
}

#[tokio::test]
async fn a_letter_about_unknown_products_that_comes_again_holds_up_no_other() {
    let post = Post::selling(&[("mug", 1_250, 10)]).await;
    let (order, released) = (OrderId::new(), OrderId::new());
    post.shop.release(released).await;
    for order in [order, order, released] {
        post.post(&created(order, PlacedBy::Letter, &[("hat", 1)])).await;
    }
    let letters = post.letters_until_now().await;
    assert_eq!(story(&letters, order), [("reservation.refused", 1)]);
    assert_eq!(story(&letters, released), []);
}
