//! Letters that are not what they should be. Each is parked with its key; other orders go on.

use contracts::{
    event::Event,
    ids::OrderId,
    inventory::v1::Reserved,
    order::v1::OrderStatus,
    shipping::v1::ShipmentStatus,
    topics::{PAYMENTS, RESERVATIONS, SHIPMENTS},
};

use order::saga::Fact;

use crate::{
    desk::operator,
    letters::{captured, captured_as, cents, declined, held, held_as, refused, reserved, shipment},
    post::Post,
};

/// Posts the bad letters, then a good one on each topic, and sees that only the good ones had effects. `bad` has, for each
/// letter, how the reason starts that it is parked for.
async fn parked_while_others_go_on(post: &Post, bad: Vec<(Event, &str)>) {
    for (letter, _) in &bad {
        post.post(letter).await;
    }
    let good = post.desk.by_letter().await;
    for letter in [held(good), captured(good), shipment(good, ShipmentStatus::Delivered, 1)] {
        post.tell(&letter).await;
    }
    let story = ["order.created", "order.payment_updated", "order.completed", "order.shipment_updated"];
    post.desk.assert_story(good, &story).await;
    let parked = post.parked(bad.len()).await;
    for (letter, why) in bad {
        let (_, error) = parked.iter().find(|(key, _)| *key == letter.subject).expect("parked under its key");
        assert!(error.starts_with(why), "{error} / {why}");
        if let Ok(id) = letter.subject.parse()
            && let Ok(order) = post.desk.find(id, operator()).await
        {
            assert_eq!((order.version, order.status()), (1, OrderStatus::Pending), "{why}");
        }
    }
}

#[tokio::test]
async fn letters_about_other_lines_or_sums_are_parked() {
    let post = Post::open().await;
    let mut bad = Vec::new();
    let changed = |change: &dyn Fn(&mut Reserved)| {
        let mut reserved = reserved();
        change(&mut reserved);
        reserved
    };
    let total = "the lines do not add up to the total";
    let cases: [(Reserved, &str); 8] = [
        (changed(&|it| it.lines[0].sku = "hat".to_owned()), "it is about other lines"),
        (changed(&|it| it.lines.swap(0, 1)), "it is about other lines"),
        (changed(&|it| it.lines[0].quantity = 4), "it is about other lines"),
        (changed(&|it| it.lines.truncate(1)), "it is about other lines"),
        (changed(&|it| it.total = Some(cents(4_489))), total),
        (changed(&|it| it.lines[0].unit_price = Some(cents(1_251))), total),
        (changed(&|it| it.total = None), "the total cannot be read"),
        (changed(&|it| it.lines[0].unit_price.as_mut().unwrap().currency = "USD".to_owned()), "a line has no total"),
    ];
    for (reserved, why) in cases {
        bad.push((held_as(post.desk.by_letter().await, reserved.clone()), why));
        bad.push((captured_as(post.desk.by_letter().await, reserved), why));
    }
    parked_while_others_go_on(&post, bad).await;
}

#[tokio::test]
async fn letters_about_other_or_unknown_orders_are_parked() {
    let post = Post::open().await;
    let mut bad = Vec::new();
    let letters: [fn(OrderId) -> Event; 5] = [held, refused, captured, declined, parcel];
    for letter in letters {
        // right in form, but about another order than its envelope says
        let (order, other) = (post.desk.by_letter().await, post.desk.by_letter().await);
        bad.push((Event { subject: order.to_string(), ..letter(other) }, "the letter of "));
        bad.push((letter(OrderId::new()), "there is no order "));
    }
    parked_while_others_go_on(&post, bad).await;
}

#[tokio::test]
async fn letters_that_cannot_be_read_are_parked() {
    let post = Post::open().await;
    let mut bad = Vec::new();
    let letters: [fn(OrderId) -> Event; 5] = [held, refused, captured, declined, parcel];
    for letter in letters {
        let order = post.desk.by_letter().await;
        bad.push((Event { payload: vec![0xff; 3], ..letter(order) }, "the payload is no "));
        let order = post.desk.by_letter().await;
        let empty = Event { payload: Vec::new(), ..letter(order) };
        let why = match empty.event_type.as_str() {
            "reservation.refused" => "the refusal has no reason",
            "payment.declined" => "the decline has no reason",
            "shipment.created" => "the letter has no shipment",
            _ => "the letter of ",
        };
        bad.push((empty, why));
    }
    let order = post.desk.by_letter().await;
    bad.push((shipment(order, ShipmentStatus::Unspecified, 1), "0 is no status of a shipment"));
    parked_while_others_go_on(&post, bad).await;
}

#[tokio::test]
async fn what_is_no_letter_at_all_is_parked() {
    let post = Post::open().await;
    let order = post.desk.by_letter().await;
    for topic in [RESERVATIONS, PAYMENTS, SHIPMENTS] {
        post.post_raw(topic, format!("garbage on {}", topic.name()).as_bytes(), &[], Some(&[0xff; 40])).await;
        let tombstone = held(OrderId::new());
        post.post_raw(topic, tombstone.subject.as_bytes(), &tombstone.to_headers(), None).await;
    }
    post.tell(&captured(order)).await;
    assert_eq!(post.desk.order(order).await.status(), OrderStatus::Completed);
    assert_eq!(post.parked(6).await.len(), 6);
}

#[tokio::test]
async fn letters_that_cannot_be_true_are_parked() {
    let post = Post::open().await;
    let desk = &post.desk;
    let (completed, refunding, voiding) = (desk.completed().await, desk.stopping().await, desk.by_letter().await);
    desk.tell(refunding, Fact::Stopped).await;
    desk.tell(voiding, Fact::DeadlinePassed).await;
    let before = [desk.order(completed).await, desk.order(refunding).await, desk.order(voiding).await];
    let bad = [
        (declined(completed), "Declined cannot be told to an order that is COMPLETED"),
        (refused(completed), "StockRefused cannot be told to an order that is COMPLETED"),
        (shipment(refunding, ShipmentStatus::Dispatched, 2), "Dispatched cannot be told to an order that is REFUNDING"),
        (shipment(voiding, ShipmentStatus::Cancelled, 1), "Stopped cannot be told to an order that is VOIDING"),
    ];
    for (letter, _) in &bad {
        post.tell(letter).await;
    }
    let whys: Vec<String> = post.parked(bad.len()).await.into_iter().map(|(_, why)| why).collect();
    assert_eq!(whys, bad.map(|(_, why)| why));
    let after = [desk.order(completed).await, desk.order(refunding).await, desk.order(voiding).await];
    assert_eq!(after, before);
}

#[tokio::test]
async fn letters_of_unknown_types_are_passed_over_and_unknown_fields_are_not_minded() {
    let post = Post::open().await;
    let order = post.desk.by_letter().await;
    for letter in [held(order), captured(order), parcel(order)] {
        post.post(&Event { event_type: "order.gift_wrapped".to_owned(), ..letter }).await;
    }
    post.all_read().await;
    post.desk.assert_story(order, &["order.created"]).await;
    let mut newer = captured(order);
    // field 2047, a string
    newer.payload.extend([0xfa, 0x7f, 3, b'n', b'e', b'w']);
    post.tell(&newer).await;
    post.desk.assert_story(order, &["order.created", "order.completed"]).await;
    assert!(post.parked(0).await.is_empty());
}

fn parcel(order: OrderId) -> Event {
    shipment(order, ShipmentStatus::AwaitingAddress, 1)
}
