//! The real process.

use std::process::{Child, Command, Stdio};

use testkit::SOON;

use crate::{
    client::problem_in,
    outside_issuer::{Answer, OutsideIssuer, Signer, settings},
};

struct Process {
    child: Child,
    url: String,
    ops_url: String,
}

impl Drop for Process {
    fn drop(&mut self) {
        // a process that is gone already has ended
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn start() -> Process {
    start_with(&[]).await
}

async fn start_with(settings: &[&str]) -> Process {
    let [address, ops_address] = testkit::free_addresses();
    let child = Command::new(env!("CARGO_BIN_EXE_gateway"))
        .args(["serve", &format!("--listen-addr={address}"), &format!("--ops-addr={ops_address}")])
        .args(["--accounts-url=http://127.0.0.1:1", "--inventory-url=http://127.0.0.1:1"])
        .args(settings)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let process = Process { child, url: format!("http://{address}"), ops_url: format!("http://{ops_address}") };
    let answers = async || reqwest::get(format!("{}/problems/invalid", process.url)).await.is_ok();
    testkit::eventually(SOON, "the gateway answers", answers).await;
    process
}

#[tokio::test]
async fn a_problem_and_its_trace_are_the_callers() {
    let gateway = start().await;
    let trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let traced = reqwest::Client::new()
        .get(format!("{}/v1/products", gateway.url))
        .header("traceparent", format!("00-{trace_id}-00f067aa0ba902b7-01"));
    let (_, _, document) = problem_in(traced.send().await.unwrap()).await;
    assert_eq!(document["trace_id"], trace_id);
    // without one, each request has a trace of its own
    let untraced = async || {
        let response = reqwest::get(format!("{}/nowhere", gateway.url)).await.unwrap();
        problem_in(response).await.2["trace_id"].as_str().unwrap().to_owned()
    };
    let [first, second] = [untraced().await, untraced().await];
    assert_ne!(first, second);
    assert_ne!(first, "0".repeat(32));
}

#[tokio::test]
async fn it_is_not_ready_before_it_has_keys_and_counts_what_it_answered() {
    let gateway = start().await;
    let readiness = reqwest::get(format!("{}/readyz", gateway.ops_url)).await.unwrap();
    assert_eq!(readiness.status(), 503);
    assert!(readiness.text().await.unwrap().contains("keys of accounts"));
    assert_eq!(reqwest::get(format!("{}/livez", gateway.ops_url)).await.unwrap().status(), 200);
    let jwks = reqwest::get(format!("{}/.well-known/jwks.json", gateway.url)).await.unwrap();
    assert_eq!(problem_in(jwks).await.0, 503);

    reqwest::get(format!("{}/v1/products?limit=0", gateway.url)).await.unwrap();
    let metrics = reqwest::get(format!("{}/metrics", gateway.ops_url)).await.unwrap().text().await.unwrap();
    let labels = r#"{route="/v1/products",method="GET",status="422"}"#;
    assert!(metrics.contains(&format!("http_requests_total{labels} 1")), "{metrics}");
    assert!(metrics.contains("http_request_seconds"), "{metrics}");
}

#[tokio::test]
async fn with_an_issuer_outside_it_is_ready_once_it_has_its_keys_and_stays_so() {
    let signer = Signer::ed25519("first");
    let issuer = OutsideIssuer::start(Answer::Keys(Vec::new())).await;
    let url = format!("--jwks-url={}/jwks.json", issuer.url);
    let gateway = start_with(&settings(&url)).await;
    let ready = async || reqwest::get(format!("{}/readyz", gateway.ops_url)).await.unwrap();
    let unready = ready().await;
    assert_eq!(unready.status(), 503);
    assert!(unready.text().await.unwrap().contains("JWKS_URL"));
    drop(gateway);

    issuer.answer(Answer::Keys(vec![signer.jwk()]));
    let gateway = start_with(&settings(&url)).await;
    let ready = async || reqwest::get(format!("{}/readyz", gateway.ops_url)).await.unwrap().status() == 200;
    testkit::eventually(SOON, "it is ready", ready).await;
    drop(issuer);
    assert!(ready().await);
    let me = reqwest::Client::new().get(format!("{}/v1/analytics/sales", gateway.url));
    assert_eq!(
        me.bearer_auth(signer.token().signed()).send().await.unwrap().status(),
        403,
        "a customer, and known as one"
    );
}

#[test]
fn a_setting_of_the_issuer_that_is_missing_ends_the_start_with_its_name() {
    for (settings, name) in [
        (vec!["--token-issuer=https://issuer.example"], "TOKEN_AUDIENCE"),
        (vec!["--token-issuer=a", "--token-audience=b", "--jwks-url=c"], "JWKS_URL"),
    ] {
        let ended = Command::new(env!("CARGO_BIN_EXE_gateway")).arg("serve").args(settings).output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(64), "{said}");
        assert!(said.lines().rfind(|line| !line.is_empty()).is_some_and(|line| line.contains(name)), "{said}");
    }
}

#[tokio::test]
async fn it_counts_what_it_refused_by_the_limit() {
    let gateway = start_with(&["--rate-limit-password=1"]).await;
    let login =
        async || reqwest::Client::new().post(format!("{}/v1/tokens", gateway.url)).send().await.unwrap().status();
    assert_eq!([login().await, login().await, login().await].map(|status| status.as_u16()), [400, 429, 429]);
    let metrics = reqwest::get(format!("{}/metrics", gateway.ops_url)).await.unwrap().text().await.unwrap();
    for (limit, refused) in [("customer", 0), ("operator", 0), ("address", 0), ("password", 2)] {
        let line = format!("rate_limit_refusals_total{{limit=\"{limit}\"}} {refused}");
        assert!(metrics.contains(&line), "{metrics}");
    }
}

#[tokio::test]
async fn an_origin_that_is_none_ends_the_start_with_64_and_one_line_that_names_the_variable() {
    for wrong in ["shop.example", "https://shop.example/", "https://shop.example,*", "https://xn--bcher-kva.example/"] {
        let mut gateway = tokio::process::Command::new(env!("CARGO_BIN_EXE_gateway"));
        let ending = gateway.arg("serve").env("CORS_ALLOWED_ORIGINS", wrong).kill_on_drop(true).output();
        let ended = tokio::time::timeout(SOON, ending).await.expect("it does not serve").unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(64), "{wrong}: {said}");
        assert_eq!(said.trim_end().lines().count(), 1, "{wrong}: {said}");
        assert!(said.contains("(environment variable CORS_ALLOWED_ORIGINS)"), "{wrong}: {said}");
    }
}
