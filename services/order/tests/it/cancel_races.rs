//! Cancels that meet each other, or a capture: one of them comes first, and the story is the one that follows.

use std::time::Duration;

use contracts::{ids::OrderId, order::v1::OrderStatus};
use futures::future::join_all;
use order::{
    hear::hear,
    keep::keep_in_tx,
    order::Change,
    saga::{Fact, Reason, State},
    store::{self, Attempt},
};
use testkit::{SOON, eventually};

use crate::{
    desk::{Desk, KEY, outcome},
    letters::{captured, priced},
    post::Post,
};

const MOMENT: Duration = Duration::from_millis(100);

#[tokio::test]
async fn sixteen_who_cancel_at_once_make_one_letter() {
    let desk = Desk::open().await;
    for order in [desk.by_letter().await, desk.completed().await] {
        let keys: Vec<String> = (0..16).map(|number| format!("cancel-{number:02}")).collect();
        let answers = join_all(keys.iter().map(|key| desk.cancel(order, key, MOMENT))).await;
        for answer in answers {
            assert_eq!(outcome(&answer), Ok(OrderStatus::Cancelling));
        }
        let story = desk.story(order).await;
        let cancelling = story.iter().filter(|(event_type, _)| event_type == "order.cancelling").count();
        assert_eq!((cancelling, desk.order(order).await.version), (1, story.last().unwrap().1));
        let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM cancel_request WHERE order_id = $1")
            .bind(order.as_uuid())
            .fetch_one(&desk.database.owner)
            .await
            .unwrap();
        assert_eq!(kept, 16);
    }
}

#[tokio::test]
async fn of_sixteen_with_one_key_one_is_answered_and_the_others_are_told_to_wait() {
    let desk = Desk::open().await;
    let order = desk.by_letter().await;
    // none is back before all have asked
    let answers = join_all((0..16).map(|_| desk.cancel(order, KEY, Duration::from_secs(4)))).await;
    let told_to_wait = answers.iter().filter(|answer| outcome(answer) == Err("idempotency-key-in-flight")).count();
    let answered = answers.iter().filter(|answer| outcome(answer) == Ok(OrderStatus::Cancelling)).count();
    assert_eq!((answered, told_to_wait), (1, 15));
    desk.assert_story(order, &["order.created", "order.cancelling"]).await;
}

#[tokio::test]
async fn a_cancel_that_finds_the_order_completed_under_its_hands_stops_the_parcel() {
    let desk = Desk::open().await;
    let order = desk.by_letter().await;
    let kept = store::find_own(&desk.deps.pool, order).await.unwrap().unwrap();
    let Change::Advanced(completed) = hear(&kept.order, &priced(Fact::Captured)) else { panic!("a capture advances") };
    let mut tx = desk.deps.pool.begin().await.unwrap();
    keep_in_tx(&mut tx, desk.deps.clock, &kept, &completed, None, Attempt::AsBefore).await.unwrap().unwrap();
    let completing = async {
        // the cancel has read the pending order and waits for its row
        let waiting = "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
                       WHERE datname = current_database() AND NOT granted";
        eventually(SOON, "the cancel waits for the row", async || {
            let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(&desk.database.owner).await.unwrap();
            waiting > 0
        })
        .await;
        tx.commit().await.unwrap();
    };
    let (answer, ()) = tokio::join!(desk.cancel(order, KEY, Duration::from_secs(2)), completing);
    assert_eq!(outcome(&answer), Ok(OrderStatus::Cancelling));
    assert_eq!(desk.state(order).await, State::Stopping);
    desk.assert_story(order, &["order.created", "order.completed", "order.cancelling"]).await;
}

#[tokio::test]
async fn a_cancel_and_a_capture_that_meet_leave_the_story_of_one_coming_first() {
    let post = &Post::open().await;
    let desk = &post.desk;
    let mut orders: Vec<OrderId> = Vec::new();
    for _ in 0..24 {
        orders.push(desk.by_letter().await);
    }
    let racing = orders.iter().map(|&order| async move {
        let letter = captured(order);
        let (answer, ()) = tokio::join!(desk.cancel(order, KEY, MOMENT), post.post(&letter));
        assert_eq!(outcome(&answer), Ok(OrderStatus::Cancelling));
    });
    join_all(racing).await;
    post.all_read().await;
    assert!(post.parked(0).await.is_empty());
    for order in orders {
        match desk.state(order).await {
            // the capture came too late; the void gives it back
            State::Voiding(Reason::CustomerRequest) => {
                desk.assert_story(order, &["order.created", "order.cancelling"]).await;
            }
            State::Stopping => {
                desk.assert_story(order, &["order.created", "order.completed", "order.cancelling"]).await;
            }
            other => panic!("an order that was cancelled and captured is {other:?}"),
        }
    }
}
