//! Nobody reads or changes what is another's.

use journeys::{customer::Customer, platform::Platform};
use reqwest::Method;

#[tokio::test]
async fn another_customers_order_is_not_there() {
    let platform = Platform::start().await;
    let (owner, stranger) = (Customer::register(&platform).await, Customer::register(&platform).await);
    let id = owner.order_a_mug().await.expect(201).order_id();

    let theirs = stranger.get(&format!("/v1/orders/{id}")).await.expect(404);
    let nothing = stranger.get(&format!("/v1/orders/{}", contracts::ids::OrderId::new())).await.expect(404);
    assert_eq!(theirs.json()["code"], nothing.json()["code"], "the two cannot be told apart");
    let listed = stranger.get("/v1/orders").await.expect(200).json();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(0));
    stranger.send(Method::POST, &format!("/v1/orders/{id}/dispatch"), None, None).await.expect(403);

    let operator = Customer::operator(&platform).await;
    operator.get(&format!("/v1/orders/{id}")).await.expect(200);
}

#[tokio::test]
async fn without_a_token_nothing_is_shown_or_changed() {
    let platform = Platform::start().await;
    let customer = Customer::register(&platform).await;
    let id = customer.order_a_mug().await.expect(201).order_id();
    let nobody = Customer::nobody(&platform);
    for (method, path) in [
        (Method::POST, "/v1/orders".to_owned()),
        (Method::GET, "/v1/orders".to_owned()),
        (Method::GET, format!("/v1/orders/{id}")),
        (Method::POST, format!("/v1/orders/{id}/dispatch")),
        (Method::GET, "/v1/accounts/me".to_owned()),
    ] {
        let body = (path == "/v1/orders" && method == Method::POST)
            .then(|| journeys::customer::order_body("mug", 1, "tok_visa"));
        let refused = nobody.send(method.clone(), &path, Some("a-key-of-mine"), body).await;
        assert_eq!(refused.status.as_u16(), 401, "{method} {path}");
        assert_eq!(refused.json()["code"], "unauthenticated");
    }
}
