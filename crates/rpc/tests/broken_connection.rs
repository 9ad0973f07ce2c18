//! A service that dies in the middle of a call is a service that is away. One that says that it is overloaded is not.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use contracts::{
    inventory::v1::{GetProductRequest, inventory_service_client::InventoryServiceClient},
    problem::ProblemCode,
};
use tokio::{io::AsyncReadExt, net::TcpListener};
use tonic::{Code, Request, Response};

/// Takes each call and hangs up in the middle of it. Gives its address, and how often it was called.
async fn dying_service() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("some port is free");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let calls = Arc::new(AtomicUsize::new(0));
    tokio::spawn({
        let calls = calls.clone();
        async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                calls.fetch_add(1, Ordering::Relaxed);
                // the request is there, and the answer will never be
                let _ = connection.read(&mut [0; 64]).await;
            }
        }
    });
    (url, calls)
}

#[tokio::test]
async fn a_connection_that_breaks_before_the_answer_is_asked_over_again_and_then_unavailable() {
    let (url, calls) = dying_service().await;
    let channel = rpc::channel(&url).expect("it is a URL");
    let request = GetProductRequest { sku: "mug".to_owned() };
    let asking = rpc::ask(Duration::from_secs(10), request, |request| {
        let mut inventory = InventoryServiceClient::new(channel.clone());
        async move { inventory.get_product(request).await }
    });
    let status = asking.await.expect_err("nobody answers");
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(calls.load(Ordering::Relaxed) >= 3, "called {calls:?} times");
}

#[tokio::test]
async fn a_service_that_says_that_it_is_unavailable_is_asked_once() {
    let calls = AtomicUsize::new(0);
    let asking = rpc::ask(Duration::from_secs(10), (), |_: Request<()>| {
        calls.fetch_add(1, Ordering::Relaxed);
        async { Err::<Response<()>, _>(rpc::status(ProblemCode::Unavailable, "every connection is busy")) }
    });
    let status = asking.await.expect_err("it says no");
    assert_eq!((status.code(), calls.load(Ordering::Relaxed)), (Code::Unavailable, 1));
}
