//! Paths, methods, headers, and the pages behind the problems.

use contracts::problem::ProblemCode;

use crate::client::{CANCEL, DISPATCH, EVENTS, LIVE, ROUTES, Who, problem_in, refused, start, with};

#[tokio::test]
async fn what_is_not_there_is_404() {
    let gateway = start(&[]).await;
    for path in ["/", "/v1", "/v1/", "/v1/orders/", "/v2/orders", "/v1/products/mug/restock/now", "/.env", "/V1/orders"]
    {
        assert_eq!(refused(gateway.request("GET", path)).await, with(404, "not-found"), "{path}");
    }
    assert_eq!(refused(gateway.request("GET", "/problems/no-such-word")).await, with(404, "not-found"));
}

#[tokio::test]
async fn a_name_that_cannot_be_one_names_nothing() {
    let gateway = start(&[]).await;
    for sku in ["Mug", "-mug", "m%00g", "m%FFg", "..", "a%2Fb", &"x".repeat(65)] {
        let path = format!("/v1/products/{sku}");
        assert_eq!(refused(gateway.request("GET", &path)).await, with(404, "not-found"), "{path}");
    }
    for id in ["1", "01936b1e7c5a7cc2a3f10242ac120003", "01936b1e-7c5a-7cc2-a3f1-0242ac12000g", "%F0%9F%93%AE"] {
        let path = format!("/v1/orders/{id}");
        assert_eq!(refused(gateway.right_from("GET", &path, Who::Both, None)).await, with(404, "not-found"), "{path}");
        for (method, what) in [("POST", "cancel"), ("POST", "dispatch"), ("GET", "events"), ("GET", "timeline")] {
            let path = format!("{path}/{what}");
            let answer = refused(gateway.right_from(method, &path, Who::Operator, None)).await;
            assert_eq!(answer, with(404, "not-found"), "{path}");
        }
    }
}

#[tokio::test]
async fn another_method_is_405_and_allow_names_the_right_ones() {
    let gateway = start(&[]).await;
    for (path, allowed) in [
        ("/v1/orders", "GET,HEAD,POST"),
        ("/v1/products/mug", "GET,HEAD,PUT"),
        ("/v1/tokens", "POST"),
        ("/v1/accounts/me/address", "PUT"),
        ("/v1/accounts/me", "GET,HEAD,DELETE"),
        (CANCEL, "POST"),
        (DISPATCH, "POST"),
        (EVENTS, "GET,HEAD"),
        ("/v1/orders/01936b1e-7c5a-7cc2-a3f1-0242ac120003/timeline", "GET,HEAD"),
        ("/v1/messages", "GET,HEAD"),
        ("/v1/analytics/sales", "GET,HEAD"),
        ("/v1/analytics/top-products", "GET,HEAD"),
        (LIVE, "GET,HEAD"),
        ("/.well-known/jwks.json", "GET,HEAD"),
        ("/problems/invalid", "GET,HEAD"),
    ] {
        let others = ["DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"].into_iter();
        for method in others.filter(|method| !allowed.contains(method)) {
            let response = gateway.request(method, path).send().await.unwrap();
            assert_eq!(response.headers()["allow"], allowed, "{method} {path}");
            let (status, code, _) = problem_in(response).await;
            assert_eq!((status, code), with(405, "method-not-allowed"), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn who_takes_nothing_that_a_route_answers_with_is_told_so() {
    let gateway = start(&[]).await;
    for (method, path, who, body) in ROUTES {
        let request = gateway.right_from(method, path, who, body);
        assert_eq!(
            refused(request.header("accept", "text/html")).await,
            with(406, "not-acceptable"),
            "{method} {path}"
        );
    }
    for (path, who) in [(EVENTS, Who::Customer), (LIVE, Who::Operator)] {
        let stream = gateway.right_from("GET", path, who, None).header("accept", "application/json");
        assert_eq!(refused(stream).await, with(406, "not-acceptable"), "{path}");
    }
    let page = gateway.request("GET", "/problems/invalid").header("accept", "application/json");
    assert_eq!(refused(page).await, with(406, "not-acceptable"));
}

#[tokio::test]
async fn every_problem_has_its_page() {
    let gateway = start(&[]).await;
    for code in ProblemCode::ALL {
        let response = gateway.request("GET", &format!("/problems/{}", code.word())).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
        let page = response.text().await.unwrap();
        assert!(page.contains(code.word()) && page.contains(code.title()), "{page}");
    }
}

#[tokio::test]
async fn every_answer_has_an_id_and_a_sane_one_is_taken_over() {
    let gateway = start(&[]).await;
    let id_of = async |path: &str, brought: Option<&str>| {
        let mut request = gateway.request("GET", path);
        if let Some(id) = brought {
            request = request.header("x-request-id", id);
        }
        request.send().await.unwrap().headers()["x-request-id"].to_str().unwrap().to_owned()
    };
    for path in ["/.well-known/jwks.json", "/nowhere", "/v1/accounts/me", "/problems/invalid"] {
        assert_eq!(id_of(path, None).await.len(), 36, "{path}");
        assert_eq!(id_of(path, Some("mine-1")).await, "mine-1", "{path}");
        assert_eq!(id_of(path, Some("no spaces")).await.len(), 36, "{path}");
        assert_eq!(id_of(path, Some(&"x".repeat(129))).await.len(), 36, "{path}");
    }
}

#[tokio::test]
async fn only_an_operator_may_name_a_customer() {
    let gateway = start(&[]).await;
    let path = format!("/v1/orders?customer_id={}", crate::client::CUSTOMER);
    assert_eq!(refused(gateway.right_from("GET", &path, Who::Customer, None)).await, with(422, "invalid"));
    assert_eq!(refused(gateway.right_from("GET", &path, Who::Operator, None)).await, with(503, "unavailable"));
}
