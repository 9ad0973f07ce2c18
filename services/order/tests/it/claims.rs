//! What recovery takes up, and when.

use std::time::Duration;

use contracts::ids::OrderId;
use futures::future::join_all;
use order::{
    recovery,
    saga::{Fact, Reason, State},
    store::{Due, Lane, claim_due, postpone},
};
use service_runtime::LookBack;
use testkit::SOON;

use crate::desk::{Desk, LETTERS_DECIDE_WITHIN};

const LEASE: Duration = Duration::from_secs(10);

/// Orders that are due, the first since the longest time.
async fn due(desk: &Desk, count: usize) -> Vec<OrderId> {
    let mut orders = Vec::new();
    for _ in 0..count {
        let order = desk.by_letter().await;
        desk.set(order, "attempt_at = clock_timestamp() - interval '1 second'").await;
        orders.push(order);
    }
    orders
}

/// Claims from all lanes, `orders_max` altogether.
async fn claim(desk: &Desk, orders_max: usize) -> Vec<OrderId> {
    claim_with_times(desk, orders_max).await.iter().map(|due| due.id).collect()
}

async fn claim_with_times(desk: &Desk, orders_max: usize) -> Vec<Due> {
    let mut claimed = Vec::new();
    for lane in Lane::ALL {
        claimed.extend(
            claim_due(&desk.deps.pool, lane, orders_max - claimed.len(), LookBack::WHOLE, LEASE).await.unwrap(),
        );
    }
    claimed
}

#[tokio::test]
async fn a_lane_holds_what_is_its_own_so_that_one_that_is_stuck_holds_up_no_other() {
    let desk = Desk::open().await;
    let (fresh, repeated) = (due(&desk, 1).await[0], due(&desk, 1).await[0]);
    desk.set(repeated, "attempts = 3").await;
    let parcel = desk.completed().await;
    desk.tell(parcel, Fact::CancelAsked).await;
    desk.set(parcel, "attempt_at = clock_timestamp() - interval '1 hour'").await;
    for (lane, order) in [(Lane::Fresh, fresh), (Lane::Repeated, repeated), (Lane::Parcel, parcel)] {
        let claimed = claim_due(&desk.deps.pool, lane, 10, LookBack::WHOLE, LEASE).await.unwrap();
        assert_eq!(claimed.iter().map(|due| due.id).collect::<Vec<_>>(), [order], "{lane:?}");
    }
}

#[tokio::test]
async fn processes_that_claim_at_once_take_different_orders() {
    let desk = Desk::open().await;
    let mut orders = due(&desk, 40).await;
    let claims = join_all((0..8).map(|_| claim(&desk, 7))).await;
    assert!(claims.iter().all(|claim| claim.len() <= 7));
    let mut claimed = claims.concat();
    // those that were skipped because somebody else was looking at them
    claimed.extend(claim(&desk, 40).await);
    claimed.sort_unstable();
    orders.sort_unstable();
    assert_eq!(claimed, orders);
}

#[tokio::test]
async fn an_order_that_somebody_changes_is_passed_over_not_waited_for() {
    let desk = Desk::open().await;
    let orders = due(&desk, 3).await;
    let mut changing = desk.database.owner.begin().await.unwrap();
    let lock = sqlx::query("SELECT FROM orders WHERE order_id = $1 FOR UPDATE").bind(orders[0].as_uuid());
    lock.execute(&mut *changing).await.unwrap();
    let claimed = tokio::time::timeout(Duration::from_secs(4), claim(&desk, 2)).await;
    let mut claimed = claimed.expect("less than the lock timeout of the database");
    claimed.sort_unstable();
    assert_eq!(claimed, orders[1..]);
    changing.rollback().await.unwrap();
    assert_eq!(claim(&desk, 2).await, orders[..1]);
}

#[tokio::test]
async fn a_claimed_order_is_nobody_elses_until_the_lease_ends() {
    let desk = Desk::open().await;
    let orders = due(&desk, 1).await;
    let before = desk.now().await;
    assert_eq!(claim(&desk, 10).await, orders);
    let lease_ends = desk.attempt_at(orders[0]).await.unwrap();
    assert!((before + LEASE..=desk.now().await + LEASE).contains(&lease_ends));
    assert_eq!(claim(&desk, 10).await, []);
    desk.set(orders[0], "attempt_at = clock_timestamp()").await;
    assert_eq!(claim(&desk, 10).await, orders);
}

#[tokio::test]
async fn the_database_says_how_long_an_order_may_still_take() {
    let desk = Desk::open().await;
    let orders = due(&desk, 2).await;
    desk.set(orders[0], "decide_by = clock_timestamp() + interval '1 hour'").await;
    desk.set(orders[1], "decide_by = clock_timestamp() - interval '1 hour'").await;
    let claimed = claim_with_times(&desk, 10).await;
    let decide_in = |order| claimed.iter().find(|due| due.id == order).unwrap().decide_in;
    assert!(decide_in(orders[0]) <= Duration::from_hours(1));
    assert!(decide_in(orders[0]) > Duration::from_mins(59));
    assert_eq!(decide_in(orders[1]), Duration::ZERO);
}

#[tokio::test]
async fn the_pauses_between_attempts_double_up_to_the_longest() {
    let desk = Desk::open().await;
    let order = due(&desk, 1).await[0];
    for pause_ms in [500, 1_000, 2_000, 4_000, 5_000, 5_000] {
        assert_eq!(claim(&desk, 1).await, [order]);
        let pause = Duration::from_millis(pause_ms);
        let before = desk.now().await;
        postpone(&desk.deps.pool, order, Duration::from_secs(5), None).await.unwrap();
        let attempt_at = desk.attempt_at(order).await.unwrap();
        assert!((before + pause..=desk.now().await + pause).contains(&attempt_at), "{pause:?}");
        desk.set(order, "attempt_at = clock_timestamp()").await;
    }
    // a very old order does not overflow
    desk.set(order, "attempts = 2000000000").await;
    postpone(&desk.deps.pool, order, Duration::from_secs(5), None).await.unwrap();
    assert!(desk.attempt_at(order).await.unwrap() > desk.now().await);
}

#[tokio::test]
async fn an_order_that_is_still_wanted_is_taken_up_when_its_time_is_over_at_the_latest() {
    let desk = Desk::open().await;
    let (soon, overdue, unwinding) = (desk.by_letter().await, desk.by_letter().await, desk.by_letter().await);
    desk.set(soon, "decide_by = clock_timestamp() + interval '2 seconds'").await;
    for order in [overdue, unwinding] {
        desk.set(order, "decide_by = clock_timestamp() - interval '1 second'").await;
    }
    desk.tell(unwinding, Fact::DeadlinePassed).await;
    for order in [soon, overdue, unwinding] {
        desk.set(order, "attempts = 20").await;
        postpone(&desk.deps.pool, order, LETTERS_DECIDE_WITHIN, None).await.unwrap();
    }
    assert_eq!(desk.attempt_at(soon).await.unwrap(), desk.decide_by(soon).await);
    assert!(desk.attempt_at(overdue).await.unwrap() <= desk.now().await);
    // what is overdue and being undone already waits for its turn like all
    assert!(desk.attempt_at(unwinding).await.unwrap() > desk.now().await + Duration::from_hours(1));
    assert_eq!(claim(&desk, 10).await, [overdue]);
}

#[tokio::test]
async fn a_settled_order_is_never_taken_up() {
    let desk = Desk::open().await;
    for order in [desk.completed().await, desk.rejected().await] {
        assert_eq!(desk.attempt_at(order).await, None);
        postpone(&desk.deps.pool, order, Duration::ZERO, None).await.unwrap();
        assert_eq!(desk.attempt_at(order).await, None);
    }
    assert_eq!(claim(&desk, 10).await, []);
}

#[tokio::test]
async fn recovery_gives_up_an_order_by_letter_whose_time_is_over_and_asks_for_the_void_first() {
    let desk = Desk::open().await;
    let order = desk.by_letter().await;
    let young = desk.by_letter().await;
    desk.set(order, "decide_by = clock_timestamp(), attempt_at = clock_timestamp()").await;
    for lane in Lane::ALL {
        desk.deps.shutdown.spawn_part("recovery", recovery::run(desk.deps.clone(), lane));
    }
    desk.reaches(order, State::Voiding(Reason::Expired)).await;
    // payment does not answer, so nothing is released: it is asked again and again
    testkit::eventually(SOON, "the order is taken up again", async || {
        let attempts = sqlx::query_scalar("SELECT attempts FROM orders WHERE order_id = $1").bind(order.as_uuid());
        let attempts: i32 = attempts.fetch_one(&desk.database.owner).await.unwrap();
        attempts > 1
    })
    .await;
    desk.assert_story(order, &["order.created", "order.payment_updated"]).await;
    desk.assert_story(young, &["order.created"]).await;
}
