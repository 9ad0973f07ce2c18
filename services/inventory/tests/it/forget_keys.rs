//! Keys of deliveries are known for a day, and not for ever.

use testkit::SOON;

use crate::post::Post;

#[tokio::test]
async fn keys_older_than_a_day_are_forgotten_and_younger_ones_are_not() {
    let database = Post::database().await;
    for sql in [
        "INSERT INTO product (sku, name, price_minor, currency) VALUES ('mug', 'The mug', 1250, 'EUR')",
        "INSERT INTO stock (sku, available, received) VALUES ('mug', 2501, 2501)",
        "INSERT INTO restock_receipt (idempotency_key, sku, quantity, received_at)
         SELECT 'old delivery ' || number, 'mug', 1, now() - interval '24 hours' - number * interval '1 second'
         FROM generate_series(1, 2500) AS number",
        "INSERT INTO restock_receipt (idempotency_key, sku, quantity, received_at)
         VALUES ('young delivery', 'mug', 1, now() - interval '23 hours')",
    ] {
        sqlx::query(sql).execute(&database.owner).await.unwrap();
    }
    let post = Post::open(database).await;
    testkit::eventually(SOON, "the old keys are forgotten", async || {
        let kept: Vec<String> = sqlx::query_scalar("SELECT idempotency_key FROM restock_receipt")
            .fetch_all(&post.shop.database.owner)
            .await
            .unwrap();
        assert!(kept.iter().any(|key| key == "young delivery"));
        kept.len() == 1
    })
    .await;
    // known, so it counts no more; forgotten, so it is a new one
    assert!(post.shop.restock(&[("young delivery", "mug", 1)]).await.unwrap().replayed);
    assert!(!post.shop.restock(&[("old delivery 1", "mug", 1)]).await.unwrap().replayed);
    assert_eq!(post.shop.stock("mug").await, (2_502, 0, 2_502));
}
