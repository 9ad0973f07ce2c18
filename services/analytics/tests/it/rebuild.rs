//! That analytics is a projection: the letters alone make its tables.

use crate::{desk::Desk, post::Post, stories};

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_built_again_from_the_topics_has_the_same_rows() {
    let (post, stories) = (Post::open().await, stories::generate(200));
    let first = Desk::open(&post).await;
    post.send(&stories.three_times_and_mixed()).await;
    first.has_read(&post).await;
    let rows = all_rows(&first).await;
    assert!(rows.len() > 400, "{} rows", rows.len());
    // both are the same consumer group, so the first must leave
    drop(first);
    let again = Desk::open(&post).await;
    again.has_read(&post).await;
    assert_eq!(all_rows(&again).await, rows);
}

/// All that the letters say, of every row of every table of analytics, as text.
pub async fn all_rows(desk: &Desk) -> Vec<String> {
    desk.texts(
        "SELECT timeline::text AS row FROM timeline
         UNION ALL SELECT (minute, currency, orders, revenue_minor, cancelled_orders, refunded_minor)::text FROM sales_minute
         UNION ALL SELECT product_minute::text FROM product_minute
         ORDER BY row",
    )
    .await
}
