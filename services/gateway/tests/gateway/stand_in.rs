//! Somebody in the place of a service.

use std::future::pending;

use axum::{Router, handler::Handler, routing::post};
use tokio::net::TcpListener;

/// Says that it is there, which is what a caller asks first, and does `call` with every other call. Gives its URL.
pub async fn stand_in<T: 'static>(call: impl Handler<T, ()>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/grpc.health.v1.Health/Check", post(async || ())).fallback(call);
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// Takes calls and never answers any.
pub async fn silent() -> String {
    stand_in(pending::<()>).await
}
