//! Letters of inventory that make no sense harm nobody but their own order.

use contracts::{
    event::Event,
    events::v1::{ReservationHeld, ReservationRefused},
    ids::OrderId,
    inventory::v1::{Reserved, ReservedLine},
};
use testkit::{SOON, eventually};

use crate::{
    platform::Platform,
    post::{about, eur, held, reserved},
};

#[tokio::test]
async fn letters_that_make_no_sense_are_parked_and_other_orders_flow() {
    let platform = Platform::start().await;
    let mut bad: Vec<Event> = wrong_contents().into_iter().map(of_a_new_order).collect();
    let foreign = held(OrderId::new());
    bad.push(Event { subject: OrderId::new().to_string(), ..foreign });
    bad.push(Event { payload: vec![0xff; 3], ..held(OrderId::new()) });
    bad.push(Event { payload: Vec::new(), ..held(OrderId::new()) });
    bad.push(Event { subject: "nonsense".to_owned(), ..about_nonsense() });
    for letter in &bad {
        platform.post.send(letter).await;
    }
    platform.post.send_with(&held(OrderId::new()), None).await;
    let parked = i64::try_from(bad.len()).unwrap() + 1;
    flows(&platform).await;
    eventually(SOON, "all bad letters are parked", async || {
        platform.count("SELECT count(*) FROM consumer_parked").await == parked
    })
    .await;
    assert_eq!(platform.count("SELECT count(*) FROM payments").await, 1);
    assert_eq!(platform.count("SELECT count(*) FROM charge_work").await, 0);
}

#[tokio::test]
async fn letters_of_other_kinds_are_passed_over() {
    let platform = Platform::start().await;
    let refused = OrderId::new();
    platform.post.send(&about(refused, &ReservationRefused { order_id: refused.to_string(), refusal: None })).await;
    let unheard_of = Event { event_type: "reservation.gift_wrapped".to_owned(), ..held(OrderId::new()) };
    platform.post.send(&unheard_of).await;
    flows(&platform).await;
    assert_eq!(platform.count("SELECT count(*) FROM consumer_parked").await, 0);
    assert_eq!(platform.count("SELECT count(*) FROM payments").await, 1);
}

#[tokio::test]
async fn a_letter_of_a_newer_version_is_read_without_what_is_new_in_it() {
    let platform = Platform::start().await;
    let order_id = OrderId::new();
    platform.order.wants(order_id, "tok_visa");
    let mut newer = held(order_id);
    // field 999, a varint
    newer.payload.extend([0xb8, 0x3e, 0x01]);
    platform.post.send(&newer).await;
    assert_eq!(platform.answered(order_id).await, "payment.captured");
}

/// What cannot be charged, or could not be told to order.
fn wrong_contents() -> Vec<Option<Reserved>> {
    let with_line = |line: ReservedLine| Some(Reserved { lines: vec![line], ..reserved() });
    let line = || reserved().lines.remove(0);
    vec![
        None,
        Some(Reserved { total: None, ..reserved() }),
        Some(Reserved { total: Some(eur(-1)), ..reserved() }),
        Some(Reserved { lines: Vec::new(), ..reserved() }),
        with_line(ReservedLine { sku: "No SKU".to_owned(), ..line() }),
        with_line(ReservedLine { quantity: 0, ..line() }),
        with_line(ReservedLine { unit_price: None, ..line() }),
        with_line(ReservedLine { line_total: Some(eur(-1)), ..line() }),
    ]
}

fn of_a_new_order(reserved: Option<Reserved>) -> Event {
    let order_id = OrderId::new();
    about(order_id, &ReservationHeld { order_id: order_id.to_string(), reserved })
}

/// Right but for its order's id, which is the same nonsense in envelope and payload.
fn about_nonsense() -> Event {
    about(OrderId::new(), &ReservationHeld { order_id: "nonsense".to_owned(), reserved: Some(reserved()) })
}

/// An order that is sent after all others is charged.
async fn flows(platform: &Platform) {
    let order_id = OrderId::new();
    platform.order.wants(order_id, "tok_visa");
    platform.post.send(&held(order_id)).await;
    assert_eq!(platform.answered(order_id).await, "payment.captured");
}
