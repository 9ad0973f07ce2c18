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
async fn a_wrong_request_about_an_order_is_refused_and_leaves_it_as_it_is() {
    let platform = Platform::start().await;
    let (customer, operator) = (Customer::register(&platform).await, Customer::operator(&platform).await);
    let id = customer.order_a_mug().await.expect(201).order_id();
    let (order, nowhere) = (format!("/v1/orders/{id}"), format!("/v1/orders/{}", new_key()));
    let (cancel, key) = (format!("{order}/cancel"), new_key());
    let (key, body) = (Some(key.as_str()), json!({"reason": "late"}));
    for (who, method, path, key, body, status, code) in [
        // no key, no good key; a field of one's own
        (&customer, Method::POST, cancel.clone(), None, None, 400, "idempotency-key-missing"),
        (&customer, Method::POST, cancel.clone(), Some("short"), None, 400, "idempotency-key-malformed"),
        (&customer, Method::POST, cancel.clone(), key, Some(body.clone()), 422, "invalid"),
        (&operator, Method::POST, format!("{order}/dispatch"), None, Some(body), 422, "invalid"),
        // another method
        (&customer, Method::GET, cancel.clone(), None, None, 405, "method-not-allowed"),
        (&customer, Method::POST, format!("{order}/events"), None, None, 405, "method-not-allowed"),
        (&customer, Method::DELETE, order.clone(), None, None, 405, "method-not-allowed"),
        // orders that are not there, and what cannot be one
        (&customer, Method::POST, format!("{nowhere}/cancel"), key, None, 404, "not-found"),
        (&operator, Method::POST, format!("{nowhere}/cancel"), key, None, 404, "not-found"),
        (&operator, Method::GET, format!("{nowhere}/events"), None, None, 404, "not-found"),
        (&operator, Method::GET, format!("{nowhere}/timeline"), None, None, 404, "not-found"),
        (&customer, Method::POST, "/v1/orders/1/cancel".to_owned(), key, None, 404, "not-found"),
        (&customer, Method::GET, "/v1/orders/1/events".to_owned(), None, None, 404, "not-found"),
        (&customer, Method::GET, "/v1/orders/1/timeline".to_owned(), None, None, 404, "not-found"),
        // parameters
        (&customer, Method::POST, format!("{cancel}?now=1"), key, None, 422, "invalid"),
        (&customer, Method::GET, format!("{order}/events?after=1"), None, None, 422, "invalid"),
        (&customer, Method::GET, format!("{order}/timeline?limit=1"), None, None, 422, "invalid"),
    ] {
        let refused = who.send(method.clone(), &path, key, body).await;
        assert_eq!(refused.status.as_u16(), status, "{method} {path}: {}", refused.json());
        assert_eq!(refused.json()["code"], code, "{method} {path}");
    }
    let order = customer.read_order(&id).await;
    assert_eq!((&order["status"], &order["payment"]["status"]), (&json!("COMPLETED"), &json!("CAPTURED")));
}

#[tokio::test]
async fn a_parameter_that_is_wrong_is_refused_by_its_name() {
    let platform = Platform::start().await;
    let (customer, operator) = (Customer::register(&platform).await, Customer::operator(&platform).await);
    let nine = "2026-11-21T09:00:00Z";
    for (who, path, pointer) in [
        (&customer, "/v1/messages?limit=0".to_owned(), "/limit"),
        (&customer, "/v1/messages?limit=101".to_owned(), "/limit"),
        (&customer, "/v1/messages?cursor=no-cursor-of-ours".to_owned(), "/cursor"),
        (&customer, format!("/v1/messages?customer_id={}", new_key()), "/customer_id"),
        (&operator, "/v1/analytics/sales?window=1d".to_owned(), "/window"),
        (&operator, "/v1/analytics/sales?from=yesterday".to_owned(), "/from"),
        (&operator, "/v1/analytics/sales?from=-009999-01-02T01:59:59Z".to_owned(), "/from"),
        (&operator, "/v1/analytics/sales?to=9999-12-30T22:00:00Z".to_owned(), "/to"),
        (&operator, format!("/v1/analytics/sales?from={nine}&to={nine}"), "/from"),
        (&operator, format!("/v1/analytics/sales?from=2026-10-01T00:00:00Z&to={nine}"), "/from"),
        (&operator, "/v1/analytics/top-products?limit=0".to_owned(), "/limit"),
        (&operator, format!("/v1/analytics/top-products?from={nine}&to=2026-11-21T08:00:00Z"), "/from"),
        (&operator, "/v1/analytics/top-products?window=1m".to_owned(), "/window"),
        (&operator, "/v1/analytics/live?window=1m".to_owned(), "/window"),
    ] {
        let refused = who.get(&path).await;
        assert_eq!(refused.status.as_u16(), 422, "{path}: {}", refused.json());
        assert_eq!(refused.json()["errors"][0]["pointer"], pointer, "{path}: {}", refused.json());
    }
    for right in ["from=1970-01-01T00:00:00Z&to=1970-01-01T00:00:01Z", "to=2200-01-01T00:00:00Z", "window=1h"] {
        operator.get(&format!("/v1/analytics/sales?{right}")).await.expect(200);
    }
}

#[tokio::test]
async fn a_customer_is_no_operator() {
    let platform = Platform::start().await;
    let customer = Customer::register(&platform).await;
    let product = json!({"name": "Cheap", "price": {"amount_minor": 1, "currency": "EUR"}});
    customer.send(Method::PUT, "/v1/products/mug", None, Some(product)).await.expect(403);
    let quantity = json!({"quantity": 5});
    customer.send(Method::POST, "/v1/products/mug/restock", Some(&new_key()), Some(quantity)).await.expect(403);
    customer.get("/v1/analytics/sales").await.expect(403);
    customer.get("/v1/analytics/top-products").await.expect(403);
    customer.get("/v1/analytics/live").await.expect(403);
    assert_ne!(customer.get("/v1/products/mug").await.expect(200).json()["name"], "Cheap");
}
