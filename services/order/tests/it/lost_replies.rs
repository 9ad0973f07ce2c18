//! The connection to the database breaks around a commit: what was kept is not denied, what was not kept is not claimed.

use std::{str::FromStr, time::Duration};

use contracts::{
    ids::OrderId,
    order::v1::{OrderStatus, PlacedBy, place_orders_response::Outcome},
    problem::ProblemCode,
};
use service_runtime::clock::Clock;
use sqlx::postgres::PgConnectOptions;

use crate::{
    desk::{Desk, KEY, outcome},
    proxy::{Lost, Proxy},
};

/// A desk that reaches its database through the proxy.
async fn desk() -> (Desk, Proxy) {
    let database = Desk::database().await;
    let postgres = PgConnectOptions::from_str(&database.app_url).unwrap();
    let proxy = Proxy::open(format!("{}:{}", postgres.get_host(), postgres.get_port())).await;
    let pool = Desk::pool_through(&database, proxy.port);
    (Desk::open_on(database, pool, Clock::System).await, proxy)
}

#[tokio::test]
async fn an_order_whose_commit_was_not_confirmed_is_accepted_not_denied() {
    let (desk, proxy) = desk().await;
    for (placed_by, key) in [(PlacedBy::Letter, "by-letter"), (PlacedBy::Telephone, "by-telephone")] {
        let request = desk.request(placed_by, key);
        let order: OrderId = request.order_id.parse().unwrap();
        proxy.lose(Lost::Reply);
        let answer = desk.place(request.clone()).await;
        assert!(proxy.has_lost_it());
        let Some(Outcome::Accepted(accepted)) = &answer.outcome else { panic!("not accepted: {answer:?}") };
        assert_eq!((accepted.order_id.as_str(), answer.replayed), (request.order_id.as_str(), false));
        desk.assert_story(order, &["order.created"]).await;
        // the same key finds it, also with another id
        let again = desk.place(desk.request(placed_by, key)).await;
        assert_eq!((again.outcome, again.replayed), (answer.outcome, true));
    }
}

#[tokio::test]
async fn after_a_lost_reply_recovery_has_the_order_by_telephone_at_once_and_leaves_the_letter_alone() {
    let (desk, proxy) = desk().await;
    proxy.lose(Lost::Reply);
    let by_telephone = desk.by_telephone().await;
    assert!(desk.attempt_at(by_telephone).await.unwrap() <= desk.now().await);
    proxy.lose(Lost::Reply);
    let by_letter = desk.by_letter().await;
    assert_eq!(desk.attempt_at(by_letter).await, Some(desk.decide_by(by_letter).await));
    assert!(proxy.has_lost_it());
}

#[tokio::test]
async fn an_order_whose_commit_was_lost_is_refused_and_the_same_key_places_it() {
    let (desk, proxy) = desk().await;
    for (placed_by, key) in [(PlacedBy::Letter, "by-letter"), (PlacedBy::Telephone, "by-telephone")] {
        let request = desk.request(placed_by, key);
        proxy.lose(Lost::Commit);
        let answer = desk.place(request.clone()).await;
        let Some(Outcome::Refused(problem)) = &answer.outcome else { panic!("not refused: {answer:?}") };
        assert_eq!(problem.code, ProblemCode::Unavailable.word());
        let again = desk.place(request.clone()).await;
        assert!(matches!(again.outcome, Some(Outcome::Accepted(_))) && !again.replayed, "{again:?}");
        desk.assert_story(request.order_id.parse().unwrap(), &["order.created"]).await;
    }
}

#[tokio::test]
async fn a_cancel_whose_commit_was_not_confirmed_goes_on_by_itself() {
    let (desk, proxy) = desk().await;
    let order = desk.by_letter().await;
    proxy.lose(Lost::Reply);
    let answer = desk.cancel(order, KEY, Duration::from_millis(100)).await;
    assert_eq!(outcome(&answer), Err("unavailable"));
    desk.assert_story(order, &["order.created", "order.cancelling"]).await;
    assert!(desk.attempt_at(order).await.is_some());
    let joined = desk.cancel(order, "another-key", Duration::from_millis(100)).await;
    assert_eq!(outcome(&joined), Ok(OrderStatus::Cancelling));
}
