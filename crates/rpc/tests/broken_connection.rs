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
use h2::Reason;
use tokio::net::{TcpListener, TcpStream};
use tonic::{Code, Request, Response, codegen::http};

/// How a call ends that gets no answer.
#[derive(Debug, Clone, Copy)]
enum End {
    /// The connection is closed without a word.
    Closed,
    /// The other side leaves, and says so when the call is under way already.
    GoneAway,
    /// The other side wants nothing to do with the call.
    Reset(Reason),
}

/// Answers when it is asked for its health, and ends every other call like this. Gives its URL, and how often it was called.
async fn dying_service(end: End) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("some port is free");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let calls = Arc::new(AtomicUsize::new(0));
    tokio::spawn({
        let calls = calls.clone();
        async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(answer(connection, end, calls.clone()));
            }
        }
    });
    (url, calls)
}

async fn answer(connection: TcpStream, end: End, calls: Arc<AtomicUsize>) {
    let mut connection = h2::server::handshake(connection).await.expect("it is HTTP/2");
    while let Some(Ok((request, mut answer))) = connection.accept().await {
        if request.uri().path().ends_with("/Check") {
            answer.send_response(http::Response::new(()), true).expect("it is there");
            continue;
        }
        calls.fetch_add(1, Ordering::Relaxed);
        match end {
            End::Closed => return,
            End::GoneAway => connection.abrupt_shutdown(Reason::NO_ERROR),
            End::Reset(reason) => answer.send_reset(reason),
        }
    }
}

#[tokio::test]
async fn a_call_that_ends_with_its_connection_is_made_again_and_then_unavailable() {
    let resets = [Reason::NO_ERROR, Reason::CANCEL, Reason::REFUSED_STREAM, Reason::ENHANCE_YOUR_CALM];
    for end in [End::Closed, End::GoneAway].into_iter().chain(resets.map(End::Reset)) {
        let (url, calls) = dying_service(end).await;
        let channel = rpc::channel(&url).expect("it is a URL");
        let request = GetProductRequest { sku: "mug".to_owned() };
        let asking = rpc::ask(Duration::from_secs(10), request, |request| {
            let mut inventory = InventoryServiceClient::new(channel.clone());
            async move { inventory.get_product(request).await }
        });
        let status = asking.await.expect_err("nobody answers");
        assert_eq!(status.code(), Code::Unavailable, "{end:?}: {status:?}");
        assert_eq!(calls.load(Ordering::Relaxed), 3, "{end:?}");
    }
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
