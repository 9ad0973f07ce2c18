//! Serving HTTP/1.1 and HTTP/2 on one port, with limits, and with the possibility to drop a connection unanswered.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body, http::Request, response::Response};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{
        conn::auto,
        graceful::{GracefulShutdown, Watcher},
    },
};
use service_runtime::{Error, Shutdown};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tower::ServiceExt;
use tracing::{debug, info, warn};

/// Connections at once; more wait to be accepted.
const CONNECTIONS_MAX: usize = 1024;

/// Requests at once on one HTTP/2 connection.
const STREAMS_MAX: u32 = 1024;

/// How long a client may take to send the first byte, and the head of a request.
const HEAD_TIME_MAX: Duration = Duration::from_secs(10);

/// The longest head of a request, in bytes.
const HEAD_BYTES_MAX: u32 = 16 * 1024;

/// How often a silent HTTP/2 connection is asked whether it still lives.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// How long requests under way may take once the end was requested.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(5);

/// How long to wait when no connection can be accepted (too many open files).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Marks a response that must not be sent.
#[derive(Clone, Copy)]
struct Unanswered;

/// What hyper is told instead of a response: it closes an HTTP/1.1 connection, and resets an HTTP/2 stream.
#[derive(Debug, thiserror::Error)]
#[error("this card gets no answer")]
struct NoAnswerWanted;

/// A response that is never sent: the connection (HTTP/2: the stream) is dropped instead.
pub fn drop_connection() -> Response {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(Unanswered);
    response
}

/// Serves until the end is requested and requests under way are answered.
pub async fn serve(listen_addr: SocketAddr, routes: Router, shutdown: &Shutdown) -> Result<(), Error> {
    let listener = TcpListener::bind(listen_addr)
        .await
        .map_err(|error| Error::Config(format!("LISTEN_ADDR {listen_addr}: {error}")))?;
    info!(address = %listen_addr, "the card network is open");
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let connections = GracefulShutdown::new();
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await.expect("the semaphore is never closed");
            (place, listener.accept().await)
        };
        let (place, stream) = tokio::select! {
            (place, accepted) = accepted => match accepted {
                Ok((stream, _)) => (place, stream),
                Err(error) => {
                    warn!(%error, "no connection can be accepted");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
            () = shutdown.requested() => break,
        };
        tokio::spawn(answer(stream, routes.clone(), connections.watcher(), shutdown.clone(), place));
    }
    if timeout(DRAIN_TIME_MAX, connections.shutdown()).await.is_err() {
        warn!("requests were still under way when the time to drain was over");
    }
    Ok(())
}

/// Answers the requests of one connection until it closes.
async fn answer(stream: TcpStream, routes: Router, watcher: Watcher, shutdown: Shutdown, _place: OwnedSemaphorePermit) {
    // answers are small and waited for
    if stream.set_nodelay(true).is_err() {
        return;
    }
    // hyper counts the time of a request's head from its first byte, and waits for that byte for ever
    let mut first_byte = [0];
    tokio::select! {
        first_byte = timeout(HEAD_TIME_MAX, stream.peek(&mut first_byte)) => if first_byte.is_err() { return },
        () = shutdown.requested() => return,
    }
    let service = service_fn(move |request: Request<Incoming>| {
        let routes = routes.clone();
        async move {
            let response = routes.oneshot(request).await.unwrap_or_else(|never: Infallible| match never {});
            if response.extensions().get::<Unanswered>().is_some() { Err(NoAnswerWanted) } else { Ok(response) }
        }
    });
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIME_MAX).max_buf_size(HEAD_BYTES_MAX as usize);
    http.http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEAD_BYTES_MAX)
        .max_concurrent_streams(STREAMS_MAX)
        .keep_alive_interval(KEEPALIVE);
    let connection = http.serve_connection(TokioIo::new(stream), service).into_owned();
    if let Err(error) = watcher.watch(connection).await {
        debug!(%error, "a connection ended early");
    }
}
