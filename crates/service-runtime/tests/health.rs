//! `health`, as a container's health check runs it, against services that are ready, are not, and are not there.

use std::{
    env,
    net::SocketAddr,
    process::{Command, Output},
};

use axum::{Router, http::StatusCode, routing::get};
use tokio::{net::TcpListener, task::spawn_blocking};

/// Runs `health` of the example, which cargo builds before the tests, beside them.
async fn health(ops_addr: Option<String>) -> Output {
    let test = env::current_exe().expect("a process knows its program");
    let target = test.parent().and_then(|deps| deps.parent()).expect("tests are built into deps/");
    let mut command = Command::new(target.join("examples/loses_a_part"));
    command.arg("health").env_remove("OPS_ADDR").envs(ops_addr.map(|address| ("OPS_ADDR", address)));
    // what it asks is served by this very process
    spawn_blocking(move || command.output().expect("the example is built")).await.expect("it does not panic")
}

/// The ops port of a service whose `/readyz` answers so.
async fn service(status: StatusCode, said: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("some port is free");
    let address = listener.local_addr().expect("it is bound");
    let routes = Router::new().route("/readyz", get(move || async move { (status, said) }));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    address
}

#[track_caller]
fn assert_refused(output: &Output, code: i32, line: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(line), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[tokio::test]
async fn a_ready_service_is_healthy() {
    let address = service(StatusCode::OK, "ready\n").await;
    let output = health(Some(address.to_string())).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn a_service_that_listens_everywhere_is_asked_on_loopback() {
    let address = service(StatusCode::OK, "ready\n").await;
    let output = health(Some(format!("0.0.0.0:{}", address.port()))).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn a_service_that_is_not_ready_says_why() {
    let address = service(StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n").await;
    assert_refused(&health(Some(address.to_string())).await, 1, "the database does not answer");
}

#[tokio::test]
async fn a_service_that_is_not_there_is_not_healthy() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("some port is free");
    let address = listener.local_addr().expect("it is bound");
    drop(listener);
    assert_refused(&health(Some(address.to_string())).await, 1, "does not answer");
}

#[tokio::test]
async fn without_an_address_the_variable_is_named() {
    assert_refused(&health(None).await, 64, "OPS_ADDR");
}
