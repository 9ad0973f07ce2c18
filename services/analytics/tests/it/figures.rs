//! What was sold and what was given back, by window, by currency and by product.

use analytics::consumers::CountLetters;
use consumer::{Delivered, EventHandler};
use contracts::{
    analytics::v1::{Sales, Window},
    events::v1::OrderCompleted,
    ids::OrderId,
    order::v1::{Order, PaymentStatus},
    timestamp_to_proto, topics,
};
use testkit::SOON;

use crate::{
    desk::Desk,
    letters::{about, cancelled, completed, line, money, order, time},
    post::Post,
    stories::{self, FROM, TO},
};

#[tokio::test(flavor = "multi_thread")]
async fn figures_add_up_although_every_letter_of_hundreds_of_orders_comes_three_times() {
    let (post, stories) = (Post::open().await, stories::generate(400));
    let desk = Desk::open(&post).await;
    post.send(&stories.three_times_and_mixed()).await;
    desk.has_read(&post).await;
    assert_eq!(desk.sales(Window::Minute, FROM, TO).await.unwrap(), stories.sales(60));
    assert_eq!(desk.sales(Window::Hour, FROM, TO).await.unwrap(), stories.sales(3_600));
    assert_eq!(desk.top_products(FROM, TO, 100).await.unwrap(), stories.products());
    assert_eq!(desk.top_products(FROM, TO, 3).await.unwrap(), stories.products()[..3]);
    assert_eq!(usize::try_from(desk.number("SELECT count(*) FROM timeline").await).unwrap(), stories.letters());
    assert_eq!(desk.number("SELECT count(*) FROM consumer_parked").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_joins_meanwhile_counts_nothing_twice() {
    let (post, stories) = (Post::open().await, stories::generate(400));
    let letters = stories.three_times_and_mixed();
    let (early, late) = letters.split_at(letters.len() / 2);
    let first = Desk::open(&post).await;
    post.send(early).await;
    let second = Desk::open_on(first.database.clone(), &post);
    post.send(late).await;
    first.has_read(&post).await;
    assert_eq!(first.sales(Window::Minute, FROM, TO).await.unwrap(), stories.sales(60));
    assert_eq!(second.top_products(FROM, TO, 100).await.unwrap(), stories.products());
}

#[tokio::test]
async fn two_replicas_that_count_into_the_same_rows_wait_for_each_other_and_do_not_deadlock() {
    let database = testkit::database("analytics", &analytics::MIGRATORS).await;
    let sold_at = |at| completed(OrderId::new(), at, 10, "EUR");
    let (nine, ten) = ("2026-11-21T09:00:00Z", "2026-11-21T10:00:00Z");
    let mut first = database.app.begin().await.unwrap();
    CountLetters.handle(&mut first, &sold_at(nine)).await.unwrap();
    let pool = database.app.clone();
    let other = tokio::spawn(async move {
        let mut second = pool.begin().await.unwrap();
        CountLetters.handle(&mut second, &sold_at(ten)).await.unwrap();
        CountLetters.handle(&mut second, &sold_at(nine)).await.unwrap();
        second.commit().await.unwrap();
    });
    testkit::eventually(SOON, "the second waits for the first", async || {
        let waiting = "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
                       WHERE datname = current_database() AND NOT granted";
        sqlx::query_scalar::<_, i64>(waiting).fetch_one(&database.owner).await.unwrap() == 1
    })
    .await;
    CountLetters.handle(&mut first, &sold_at(ten)).await.unwrap();
    first.commit().await.unwrap();
    other.await.unwrap();
    let counted = "SELECT array_agg(orders ORDER BY minute) FROM sales_minute";
    let counted: Vec<i64> = sqlx::query_scalar(counted).fetch_one(&database.owner).await.unwrap();
    assert_eq!(counted, [2, 2]);
}

#[tokio::test]
async fn a_list_of_letters_is_counted_once_whatever_is_in_it_twice_or_was_counted_before() {
    let database = testkit::database("analytics", &analytics::MIGRATORS).await;
    let (nine, ten) = ("2026-11-21T09:00:10Z", "2026-11-21T10:00:00Z");
    let sold = |at, amount, currency| completed(OrderId::new(), at, amount, currency);
    let before = sold(nine, 1, "EUR");
    let repeated = sold(nine, 20, "EUR");
    let given_back = cancelled(OrderId::new(), nine, 7, "EUR", PaymentStatus::Refunded);
    let letters = [
        repeated.clone(),
        before.clone(),
        sold(nine, 300, "EUR"),
        repeated.clone(),
        given_back.clone(),
        sold(nine, 50, "JPY"),
        sold(ten, 4_000, "EUR"),
        given_back,
        repeated,
    ];
    let delivered = |event| Delivered::new(CountLetters::GROUP, topics::ORDERS.name(), event);
    let mut tx = database.app.begin().await.unwrap();
    CountLetters.handle(&mut tx, &before).await.unwrap();
    CountLetters.handle_all(&mut tx, &letters.map(delivered)).await.unwrap();
    tx.commit().await.unwrap();
    let texts =
        async |sql: &'static str| -> Vec<String> { sqlx::query_scalar(sql).fetch_all(&database.owner).await.unwrap() };
    let sales = "SELECT concat_ws(' ', extract(hour FROM minute AT TIME ZONE 'UTC'), currency, orders, revenue_minor,
                     cancelled_orders, refunded_minor)
                 FROM sales_minute ORDER BY minute, currency";
    assert_eq!(texts(sales).await, ["9 EUR 3 321 1 7", "9 JPY 1 50 0 0", "10 EUR 1 4000 0 0"]);
    let products =
        "SELECT concat_ws(' ', extract(hour FROM minute AT TIME ZONE 'UTC'), currency, quantity, revenue_minor)
                    FROM product_minute ORDER BY minute, currency";
    assert_eq!(texts(products).await, ["9 EUR 3 321", "9 JPY 1 50", "10 EUR 1 4000"]);
    assert_eq!(texts("SELECT count(*)::text FROM timeline").await, ["6"]);
}

#[tokio::test]
async fn a_cancellation_counts_in_its_own_window_and_is_subtracted_from_none() {
    let post = Post::open().await;
    let desk = Desk::open(&post).await;
    let (kept, given_back, never_sold) = (OrderId::new(), OrderId::new(), OrderId::new());
    post.send(&[
        completed(kept, "2026-11-21T09:00:10Z", 1_000, "EUR"),
        completed(given_back, "2026-11-21T09:00:59.999999Z", 250, "EUR"),
        cancelled(given_back, "2026-11-21T09:05:00Z", 250, "EUR", PaymentStatus::Refunded),
        cancelled(never_sold, "2026-11-21T09:05:01Z", 99, "EUR", PaymentStatus::None),
    ])
    .await;
    desk.has_read(&post).await;
    let sold = window("2026-11-21T09:00:00Z", "2026-11-21T09:01:00Z", [2, 1_250, 0, 0]);
    let cancelled = window("2026-11-21T09:05:00Z", "2026-11-21T09:06:00Z", [0, 0, 1, 250]);
    assert_eq!(desk.sales(Window::Minute, FROM, TO).await.unwrap(), [sold, cancelled]);
    let hour = window("2026-11-21T09:00:00Z", "2026-11-21T10:00:00Z", [2, 1_250, 1, 250]);
    assert_eq!(desk.sales(Window::Hour, FROM, TO).await.unwrap(), [hour]);
    // and what was sold was sold
    assert_eq!(desk.top_products(FROM, TO, 1).await.unwrap()[0].quantity, 2);
}

#[tokio::test]
async fn two_currencies_are_never_added() {
    let post = Post::open().await;
    let desk = Desk::open(&post).await;
    let at = "2026-11-21T09:00:10Z";
    post.send(&[
        completed(OrderId::new(), at, 1_000, "EUR"),
        completed(OrderId::new(), at, 70, "JPY"),
        completed(OrderId::new(), at, 7, "EUR"),
    ])
    .await;
    desk.has_read(&post).await;
    let told = desk.sales(Window::Minute, FROM, TO).await.unwrap();
    let told: Vec<_> = told.into_iter().map(|sales| (sales.orders, sales.revenue, sales.refunded)).collect();
    assert_eq!(
        told,
        [(2, Some(money(1_007, "EUR")), Some(money(0, "EUR"))), (1, Some(money(70, "JPY")), Some(money(0, "JPY")))]
    );
    let products = desk.top_products(FROM, TO, 100).await.unwrap();
    let products: Vec<_> = products.into_iter().map(|product| (product.quantity, product.revenue)).collect();
    assert_eq!(products, [(2, Some(money(1_007, "EUR"))), (1, Some(money(70, "JPY")))]);
}

#[tokio::test]
async fn products_are_told_by_quantity_then_by_sku_and_only_from_their_span() {
    let post = Post::open().await;
    let desk = Desk::open(&post).await;
    let sell = |at: &str, lines: &[(&str, u32)]| {
        let id = OrderId::new();
        let lines = lines.iter().map(|&(sku, quantity)| line(sku, quantity, 10, "EUR")).collect();
        about(id, 2, at, &OrderCompleted { order: Some(Order { lines, ..order(id, 10, "EUR") }) })
    };
    post.send(&[
        sell("2026-11-21T08:59:59Z", &[("early", 100)]),
        // the same SKU on two lines, which order does not write but a letter can say
        sell("2026-11-21T09:00:00Z", &[("mug", 2), ("tee", 1), ("mug", 3)]),
        sell("2026-11-21T09:59:59Z", &[("poster", 5), ("tee", 5)]),
        sell("2026-11-21T10:00:00Z", &[("late", 100)]),
    ])
    .await;
    desk.has_read(&post).await;
    let best = desk.top_products("2026-11-21T09:00:00Z", "2026-11-21T10:00:00Z", 2).await.unwrap();
    let best: Vec<_> = best.iter().map(|product| (product.sku.as_str(), product.quantity)).collect();
    assert_eq!(best, [("tee", 6), ("mug", 5)]);
}

#[tokio::test]
async fn a_sum_that_does_not_fit_is_refused_and_its_parts_are_still_told() {
    let post = Post::open().await;
    let desk = Desk::open(&post).await;
    let too_much = OrderId::new();
    post.send(&[
        completed(OrderId::new(), "2026-11-21T09:00:00Z", i64::MAX, "EUR"),
        completed(OrderId::new(), "2026-11-21T09:01:00Z", 1, "EUR"),
    ])
    .await;
    desk.has_read(&post).await;
    assert_eq!(desk.sales(Window::Minute, FROM, TO).await.unwrap().len(), 2);
    let refused = desk.sales(Window::Hour, FROM, TO).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
    assert!(refused.message().contains("smaller windows"), "{refused}");
    // and what does not fit into its minute is set aside whole
    post.send(&[completed(too_much, "2026-11-21T09:00:30Z", 1, "EUR")]).await;
    desk.has_read(&post).await;
    let errors = desk.texts("SELECT error FROM consumer_parked").await;
    assert!(matches!(errors.as_slice(), [error] if error.contains("bigint out of range")), "{errors:?}");
    assert!(desk.timeline(too_much).await.is_empty());
    assert_eq!(desk.sales(Window::Minute, FROM, TO).await.unwrap()[0].orders, 1);
}

/// A window in euros: orders, revenue, cancelled orders, refunded.
fn window(from: &str, to: &str, [orders, revenue, cancelled_orders, refunded]: [i64; 4]) -> Sales {
    Sales {
        from: Some(timestamp_to_proto(time(from))),
        to: Some(timestamp_to_proto(time(to))),
        orders,
        revenue: Some(money(revenue, "EUR")),
        cancelled_orders,
        refunded: Some(money(refunded, "EUR")),
    }
}
