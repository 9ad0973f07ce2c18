//! Letters on the orders' topic that are not what they should be, one of each kind. None stops the others.

use contracts::{
    event::Event,
    events::v1::{OrderCancelling, OrderPaymentUpdated, OrderRejected, OrderShipmentUpdated},
    ids::OrderId,
    order::v1::PlacedBy,
};

use crate::post::{Post, about, cancelled, completed, created, message, story};

fn by_letter(order: OrderId, lines: &[(&str, u32)]) -> Event {
    created(order, PlacedBy::Letter, lines)
}

#[tokio::test]
async fn letters_that_make_no_sense_are_parked_and_other_orders_go_on() {
    let post = Post::selling(&[("mug", 1_250, 10)]).await;
    let mut whys = Vec::new();
    let mut bad = |letter: Event, why: &str| {
        whys.push((letter.subject.clone(), why.to_owned()));
        letter
    };
    let any = OrderId::new;
    let letters = [
        bad(by_letter(any(), &[("mug", 0)]), "quantity: a quantity is a whole number from 1 to 10000"),
        bad(by_letter(any(), &[("mug", 10_001)]), "quantity: a quantity is a whole number from 1 to 10000"),
        bad(by_letter(any(), &[]), "lines: an order has 1 to 100 lines, this one has 0"),
        bad(by_letter(any(), &[("mug", 1), ("mug", 1)]), "lines: mug is there twice"),
        bad(Event { payload: Vec::new(), ..completed(any()) }, "the letter has no order"),
        bad(Event { payload: Vec::new(), ..cancelled(any()) }, "the letter has no order"),
        bad(Event { payload: Vec::new(), ..by_letter(any(), &[]) }, "the letter has no order"),
        bad(Event { subject: "no-order".to_owned(), ..completed(any()) }, "the letter of no-order has order"),
        // right in form, but about another order than its envelope says
        bad(Event { subject: any().to_string(), ..completed(any()) }, "the letter of "),
        bad(Event { subject: any().to_string(), ..cancelled(any()) }, "the letter of "),
        bad(Event { subject: any().to_string(), ..by_letter(any(), &[("mug", 1)]) }, "the letter of "),
        bad(Event { payload: vec![0xff; 3], ..by_letter(any(), &[]) }, "the payload is no order.created"),
        bad(Event { payload: vec![0xff; 3], ..completed(any()) }, "the payload is no order.completed"),
    ];
    for letter in &letters {
        post.post(letter).await;
    }
    let good = OrderId::new();
    post.post(&by_letter(good, &[("mug", 3)])).await;
    assert_eq!(story(&post.letters_until_now().await, good), [("reservation.held", 1)]);
    for ((key, error), (subject, why)) in post.parked(letters.len()).await.iter().zip(&whys) {
        assert_eq!(key, subject);
        assert!(error.starts_with(why), "{error} / {why}");
    }
    assert_eq!(post.shop.pieces("mug").await, (7, 3, 0));
}

#[tokio::test]
async fn what_is_no_letter_at_all_is_parked_and_other_orders_go_on() {
    let post = Post::selling(&[("mug", 1_250, 10)]).await;
    let letter = || by_letter(OrderId::new(), &[("mug", 1)]);
    let tombstone = letter();
    post.post_raw(tombstone.subject.as_bytes(), &tombstone.to_headers(), None).await;
    let nameless = letter();
    let headers: Vec<_> = nameless.to_headers().into_iter().filter(|(name, _)| *name != "ce_type").collect();
    post.post_raw(nameless.subject.as_bytes(), &headers, Some(&nameless.payload)).await;
    let misdirected = letter();
    post.post_raw(b"another key", &misdirected.to_headers(), Some(&misdirected.payload)).await;
    post.post_raw(b"garbage", &[], Some(&[0xff; 40])).await;
    let good = OrderId::new();
    post.post(&by_letter(good, &[("mug", 3)])).await;
    assert_eq!(story(&post.letters_until_now().await, good), [("reservation.held", 1)]);
    let parked = post.parked(4).await;
    let keys: Vec<&str> = parked.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, [&tombstone.subject, &nameless.subject, "another key", "garbage"]);
    assert_eq!(post.shop.pieces("mug").await, (7, 3, 0));
}

#[tokio::test]
async fn letters_of_other_and_of_unknown_types_are_passed_over() {
    let post = Post::selling(&[("mug", 1_250, 10)]).await;
    let order = OrderId::new();
    post.shop.reserve(order, &[("mug", 3)]).await;
    let told = || Some(message(order));
    let unheard_of = Event { event_type: "order.gift_wrapped".to_owned(), ..completed(order) };
    for letter in [
        about(order, 2, &OrderPaymentUpdated { order: told() }),
        about(order, 3, &OrderRejected { order: told() }),
        about(order, 4, &OrderShipmentUpdated { order: told() }),
        about(order, 5, &OrderCancelling { order: told() }),
        unheard_of,
    ] {
        post.post(&letter).await;
    }
    assert!(post.letters_until_now().await.is_empty());
    assert_eq!(post.shop.pieces("mug").await, (7, 3, 0));
    assert!(post.parked(0).await.is_empty());
}

#[tokio::test]
async fn a_letter_of_a_newer_schema_is_read_without_what_is_not_known() {
    let post = Post::selling(&[("mug", 1_250, 10)]).await;
    let order = OrderId::new();
    for mut letter in [by_letter(order, &[("mug", 3)]), completed(order)] {
        // field 2047, a string
        letter.payload.extend([0xfa, 0x7f, 3, b'n', b'e', b'w']);
        post.post(&letter).await;
    }
    assert_eq!(story(&post.letters_until_now().await, order), [("reservation.held", 1)]);
    assert_eq!(post.shop.pieces("mug").await, (7, 0, 3));
}
