//! Nobody reads or changes what is another's.

use journeys::{
    customer::{Customer, new_key},
    platform::Platform,
};
use reqwest::Method;

#[tokio::test]
async fn another_customers_order_is_not_there() {
    let platform = Platform::start().await;
    let (owner, stranger) = (Customer::register(&platform).await, Customer::register(&platform).await);
    let id = owner.order_a_mug().await.expect(201).order_id();

    let key = new_key();
    for (method, what) in
        [(Method::GET, ""), (Method::POST, "/cancel"), (Method::GET, "/events"), (Method::GET, "/timeline")]
    {
        let ask = async |id: &str| {
            let path = format!("/v1/orders/{id}{what}");
            let refused = stranger.send(method.clone(), &path, Some(&key), None).await.expect(404).json();
            refused["detail"].as_str().expect("a sentence").replace(id, "the order")
        };
        assert_eq!(ask(&id).await, ask(&new_key()).await, "{method} {what}: the two cannot be told apart");
    }
    let listed = stranger.get("/v1/orders").await.expect(200).json();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(0));
    stranger.send(Method::POST, &format!("/v1/orders/{id}/dispatch"), None, None).await.expect(403);
    assert_eq!(owner.read_order(&id).await["status"], "COMPLETED");

    let operator = Customer::operator(&platform).await;
    operator.get(&format!("/v1/orders/{id}")).await.expect(200);
    operator.get(&format!("/v1/orders/{id}/timeline")).await.expect(200);
}

#[tokio::test]
async fn a_message_is_shown_to_whom_it_was_sent() {
    let platform = Platform::start().await;
    let (owner, stranger) = (Customer::register(&platform).await, Customer::register(&platform).await);
    let id = owner.order_a_mug().await.expect(201).order_id();
    let messages = async |who: &Customer| who.get("/v1/messages").await.expect(200).json()["items"].take();
    let told = async || messages(&owner).await.as_array().is_some_and(|items| !items.is_empty());
    testkit::eventually(testkit::SOON, "the owner is told", told).await;
    assert_eq!(messages(&owner).await[0]["order_id"], id);
    let operator = Customer::operator(&platform).await;
    for other in [&stranger, &operator] {
        assert_eq!(messages(other).await.as_array().map(Vec::len), Some(0));
    }
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
        (Method::POST, format!("/v1/orders/{id}/cancel")),
        (Method::POST, format!("/v1/orders/{id}/dispatch")),
        (Method::GET, format!("/v1/orders/{id}/events")),
        (Method::GET, format!("/v1/orders/{id}/timeline")),
        (Method::GET, "/v1/accounts/me".to_owned()),
        (Method::GET, "/v1/messages".to_owned()),
        (Method::GET, "/v1/analytics/sales".to_owned()),
        (Method::GET, "/v1/analytics/top-products".to_owned()),
        (Method::GET, "/v1/analytics/live".to_owned()),
    ] {
        let body = (path == "/v1/orders" && method == Method::POST)
            .then(|| journeys::customer::order_body("mug", 1, "tok_visa"));
        let refused = nobody.send(method.clone(), &path, Some("a-key-of-mine"), body).await;
        assert_eq!(refused.status.as_u16(), 401, "{method} {path}");
        assert_eq!(refused.json()["code"], "unauthenticated");
    }
}
