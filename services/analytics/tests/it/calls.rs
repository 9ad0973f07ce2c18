//! What a question may ask for, and what it gets when it says nothing.

use contracts::{
    analytics::v1::{GetSalesRequest, TopProductsRequest, Window},
    ids::OrderId,
    problem::ProblemCode,
    timestamp_from_proto,
};
use tonic::Status;

use crate::{
    desk::Desk,
    letters::{completed, time},
    post::Post,
};

#[tokio::test]
async fn a_question_that_says_nothing_is_about_the_last_hour_by_the_minute() {
    let post = Post::open().await;
    let desk = Desk::open(&post).await;
    // it is 12:00:30
    let times = ["2026-11-21T10:59:59Z", "2026-11-21T11:00:00Z", "2026-11-21T12:00:59Z", "2026-11-21T12:01:00Z"];
    post.send(&times.map(|at| completed(OrderId::new(), at, 1, "EUR"))).await;
    desk.has_read(&post).await;
    let windows = desk.get_sales(GetSalesRequest::default()).await.unwrap();
    let starts: Vec<_> = windows.iter().map(|sales| timestamp_from_proto(&sales.from.unwrap())).collect();
    let expected = ["2026-11-21T11:00:00Z", "2026-11-21T12:00:00Z"];
    assert_eq!(starts, expected.map(|start| Some(time(start))));
    let products =
        desk.get_top_products(TopProductsRequest { limit: 1, ..TopProductsRequest::default() }).await.unwrap();
    assert_eq!(products[0].quantity, 2);
}

#[tokio::test]
async fn a_question_that_asks_for_too_much_is_refused_by_its_field() {
    let post = Post::open().await;
    let desk = Desk::open(&post).await;
    let sales = async |window, from, to| desk.sales(window, from, to).await.map(|_| ());
    assert!(sales(Window::Minute, "2026-11-20T00:00:00Z", "2026-11-21T01:00:00Z").await.is_ok());
    assert_refused(sales(Window::Minute, "2026-11-20T00:00:00Z", "2026-11-21T01:00:00.001Z").await, "from");
    assert!(sales(Window::Hour, "2026-11-20T00:00:00Z", "2026-11-21T01:00:00.001Z").await.is_ok());
    assert_refused(sales(Window::Hour, "2026-01-01T00:00:00Z", "2026-03-04T12:00:01Z").await, "from");
    assert_refused(sales(Window::Hour, "2026-11-21T09:00:00Z", "2026-11-21T09:00:00Z").await, "from");
    assert_refused(sales(Window::Hour, "1969-12-31T23:00:00Z", "1970-01-01T01:00:00Z").await, "from");
    let no_time = Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 });
    let asked = GetSalesRequest { to: no_time, ..GetSalesRequest::default() };
    assert_refused(desk.get_sales(asked).await.map(|_| ()), "to");

    let products = async |from, to, limit| desk.top_products(from, to, limit).await.map(|_| ());
    let (from, to) = ("2026-11-20T00:00:00Z", "2026-11-21T01:00:00Z");
    assert!(products(from, to, 1).await.is_ok());
    assert!(products(from, to, 100).await.is_ok());
    assert_refused(products(from, to, 0).await, "limit");
    assert_refused(products(from, to, 101).await, "limit");
    assert_refused(products("2026-01-01T00:00:00Z", "2026-03-04T12:00:01Z", 1).await, "from");

    assert_refused(desk.get_timeline("an-order").await.map(|_| ()), "order_id");
    assert_refused(desk.get_timeline("").await.map(|_| ()), "order_id");
}

#[tokio::test]
async fn a_timeline_has_at_most_its_first_thousand_letters() {
    let post = Post::open().await;
    let desk = Desk::open(&post).await;
    let order = OrderId::new();
    sqlx::query(
        "INSERT INTO timeline (event_id, order_id, event_type, source, occurred_at, sequence, data)
         SELECT gen_random_uuid(), $1, 'order.created', '/order', TIMESTAMPTZ 'epoch', sequence, '{}'
         FROM generate_series(1, 1001) AS sequence",
    )
    .bind(order.as_uuid())
    .execute(&desk.database.owner)
    .await
    .unwrap();
    let told: Vec<i64> = desk.timeline(order).await.iter().map(|entry| entry.sequence).collect();
    assert_eq!(told, (1..=1_000).collect::<Vec<_>>());
}

fn assert_refused(answer: Result<(), Status>, field: &str) {
    let status = answer.unwrap_err();
    assert_eq!(rpc::problem_of(&status), ProblemCode::Invalid, "{status}");
    assert!(status.message().starts_with(&format!("{field}: ")), "not about {field}: {status}");
}
