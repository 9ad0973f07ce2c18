//! Serving HTTP/1.1 and HTTP/2 on one port, with a limit on everything that a client may do to us.

use std::{
    future::pending,
    net::IpAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::{Router, http::Version};
use hyper::{Request, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{
        conn::auto,
        graceful::{GracefulShutdown, Watcher},
    },
};
use service_runtime::Shutdown;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, Semaphore},
    time::{sleep, timeout},
};
use tower::ServiceExt;
use tracing::{debug, info, warn};

use crate::{
    client_address::Peer,
    framing::{Ambiguous, Watched},
};

/// How long a client may take to send its first request's head, and that of each further one.
pub const HEAD_TIME_MAX: Duration = Duration::from_secs(10);

/// The longest head of a request, in bytes.
const HEAD_BYTES_MAX: u32 = 16 * 1024;

/// Requests at once on one HTTP/2 connection.
const STREAMS_MAX: u32 = 256;

/// Requests on one HTTP/2 connection that the client takes back before they were begun (rapid reset, CVE-2023-44487): one more closes it.
/// They are no longer among [`STREAMS_MAX`]. Who changes his mind does so about a few; hyper would take as many today.
const TAKEN_BACK_MAX: usize = 20;

/// Requests on one HTTP/2 connection that are reset for a fault of the client, as long as it lives (CVE-2025-8671): one more closes it.
/// A client that has not read our [`STREAMS_MAX`] yet may be refused hundreds at once and is to blame for nothing; hyper would take
/// as many today.
const FAULTS_MAX: usize = 1024;

/// How often a silent HTTP/2 connection is asked whether it still lives, and how long it may take to say so.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// How long requests under way may take once the end was requested: longer than the deadline of any route.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(8);

/// How long to wait when no connection can be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until the end is requested and requests under way are answered.
pub async fn serve(listener: TcpListener, routes: Router, connections_max: u32, shutdown: &Shutdown) {
    if let Ok(address) = listener.local_addr() {
        info!(%address, "answering requests");
    }
    let places = Arc::new(Semaphore::new(connections_max as usize));
    let connections = GracefulShutdown::new();
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await.expect("the semaphore is never closed");
            (place, listener.accept().await)
        };
        let (place, stream, peer) = tokio::select! {
            (place, accepted) = accepted => match accepted {
                Ok((stream, peer)) => (place, stream, peer.ip()),
                Err(error) => {
                    warn!(%error, "no connection can be accepted; if too many files are open, raise `ulimit -n`");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
            () = shutdown.requested() => break,
        };
        let connection = answer(stream, peer, routes.clone(), connections.watcher());
        tokio::spawn(async move {
            connection.await;
            drop(place);
        });
    }
    // nobody is let in any more while those inside are answered
    drop(listener);
    if timeout(DRAIN_TIME_MAX, connections.shutdown()).await.is_err() {
        warn!("requests were still under way when the time to drain was over");
    }
}

/// Answers the requests of one connection until it closes.
async fn answer(stream: TcpStream, peer: IpAddr, routes: Router, watcher: Watcher) {
    // answers are small and waited for; a stream that refuses is closed already, which shows below
    let _ = stream.set_nodelay(true);
    let (stream, ambiguous) = Watched::new(stream);
    let first_request = Arc::new(Notify::new());
    let begun = first_request.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        begun.notify_one();
        request.extensions_mut().insert(Peer(peer));
        // frames, not header lines, tell where an HTTP/2 request ends
        if ambiguous.load(Ordering::Relaxed) && request.version() != Version::HTTP_2 {
            request.extensions_mut().insert(Ambiguous);
        }
        routes.clone().oneshot(request)
    });
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIME_MAX).max_buf_size(HEAD_BYTES_MAX as usize);
    http.http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEAD_BYTES_MAX)
        .max_concurrent_streams(STREAMS_MAX)
        .max_pending_accept_reset_streams(TAKEN_BACK_MAX)
        .max_local_error_reset_streams(FAULTS_MAX)
        .keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE);
    let connection = watcher.watch(http.serve_connection(TokioIo::new(stream), service).into_owned());
    // hyper waits for ever for the bytes that tell HTTP/1 from HTTP/2
    let silent = async {
        if timeout(HEAD_TIME_MAX, first_request.notified()).await.is_ok() {
            pending::<()>().await;
        }
    };
    tokio::select! {
        served = connection => if let Err(error) = served {
            debug!(%error, "a connection ended early");
        },
        () = silent => debug!("closing a connection on which no request came"),
    }
}
