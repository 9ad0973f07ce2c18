//! What is wrong is refused with its status and its place, and changes nothing.

use journeys::{
    customer::{Customer, new_key, order_body},
    platform::Platform,
};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a_wrong_order_is_refused_by_its_field_and_changes_nothing() {
    let platform = Platform::start().await;
    let customer = Customer::register(&platform).await;
    let before = customer.available("mug").await;
    let with_line = |line: Value| json!({"lines": [line], "payment": {"card_token": "tok_visa"}});
    let mug = order_body("mug", 1, "tok_visa");
    let with = |field: &str, value: Value| {
        let mut body = mug.clone();
        body[field] = value;
        body
    };
    let cases = [
        ("quantity 0", with_line(json!({"sku": "mug", "quantity": 0})), "/lines/0/quantity"),
        ("quantity -1", with_line(json!({"sku": "mug", "quantity": -1})), "/lines/0/quantity"),
        ("quantity i64 max", with_line(json!({"sku": "mug", "quantity": i64::MAX})), "/lines/0/quantity"),
        ("quantity 1.5", with_line(json!({"sku": "mug", "quantity": 1.5})), "/lines/0/quantity"),
        ("quantity as text", with_line(json!({"sku": "mug", "quantity": "1"})), "/lines/0/quantity"),
        (
            "a price of one's own",
            with_line(json!({"sku": "mug", "quantity": 1, "unit_price": 1})),
            "/lines/0/unit_price",
        ),
        ("a SKU in capitals", with_line(json!({"sku": "MUG", "quantity": 1})), "/lines/0/sku"),
        ("no SKU", with_line(json!({"quantity": 1})), "/lines/0/sku"),
        ("no lines", with("lines", json!([])), "/lines"),
        ("a status of one's own", with("status", json!("COMPLETED")), "/status"),
        ("another customer", with("customer_id", json!(new_key())), "/customer_id"),
        ("no card", with("payment", json!({})), "/payment/card_token"),
        ("a card with a space", with("payment", json!({"card_token": "tok visa"})), "/payment/card_token"),
        ("a card too long", with("payment", json!({"card_token": "x".repeat(65)})), "/payment/card_token"),
        (
            "the same SKU twice",
            with("lines", json!([{"sku": "mug", "quantity": 1}, {"sku": "mug", "quantity": 1}])),
            "/lines/1/sku",
        ),
    ];
    for (what, body, pointer) in cases {
        let refused = customer.send(Method::POST, "/v1/orders", Some(&new_key()), Some(body)).await;
        assert_eq!(refused.status.as_u16(), 422, "{what}: {}", refused.json());
        let problem = refused.json();
        let pointers: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|error| &error["pointer"]).collect();
        assert!(pointers.contains(&&json!(pointer)), "{what}: {problem}");
        assert_eq!(problem["type"], format!("/problems/{}", problem["code"].as_str().unwrap()), "{what}");
        assert!(problem["trace_id"].as_str().is_some_and(|id| id.len() == 32), "{what}: {problem}");
    }

    let no_key = customer.send(Method::POST, "/v1/orders", None, Some(mug.clone())).await.expect(400);
    assert_eq!(no_key.json()["code"], "idempotency-key-missing");
    let short = customer.send(Method::POST, "/v1/orders", Some("short"), Some(mug)).await.expect(400);
    assert_eq!(short.json()["code"], "idempotency-key-malformed");

    assert_eq!(customer.available("mug").await, before);
    let orders: i64 = sqlx::query_scalar("SELECT count(*) FROM orders")
        .fetch_one(platform.database("orders"))
        .await
        .expect("order has its table");
    assert_eq!(orders, 0);
}

#[tokio::test]
async fn a_customer_is_no_operator() {
    let platform = Platform::start().await;
    let customer = Customer::register(&platform).await;
    let product = json!({"name": "Cheap", "price": {"amount_minor": 1, "currency": "EUR"}});
    customer.send(Method::PUT, "/v1/products/mug", None, Some(product)).await.expect(403);
    let quantity = json!({"quantity": 5});
    customer.send(Method::POST, "/v1/products/mug/restock", Some(&new_key()), Some(quantity)).await.expect(403);
    assert_ne!(customer.get("/v1/products/mug").await.expect(200).json()["name"], "Cheap");
}
