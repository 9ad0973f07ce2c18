//! Answering calls: limits, health, reflection, the caller's trace, and work that a caller who hangs up cannot cut.

use std::{convert::Infallible, future::Future, io, net::SocketAddr, pin::Pin, time::Duration};

use contracts::problem::ProblemCode;
use service_runtime::{Error, Shutdown, telemetry};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::mpsc,
    time::sleep,
};
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream};
use tonic::{
    Response, Status,
    body::Body,
    codegen::{
        Service,
        http::{self, Request},
    },
    server::NamedService,
    service::Routes,
    transport::{
        Server,
        server::{Connected, TcpIncoming},
    },
};
use tonic_health::pb::health_server;
use tonic_reflection::pb::v1::server_reflection_server;
use tracing::{Instrument, Span, error, field::Empty, info, info_span};

use crate::{Tls, observe::Observe, status};

/// The most items in one list call.
pub const LIST_ITEMS_MAX: usize = 100;

/// The most bytes of one message, of a question as of an answer; more is RESOURCE_EXHAUSTED. What gRPC takes in every language
/// when nothing is said, and more than twice what the longest list of ours has: 100 orders of 100 lines are 1.3 MB. A caller can make a service hold so much
/// for each of his calls, so it is no more than is needed.
pub const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Calls under way on one connection.
const STREAMS_MAX: u32 = 1_024;

/// Idle connections are asked this often whether they still live.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// How long nobody is accepted after somebody could not be.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long after the end was requested callers may keep their connections.
const HANG_UP_AFTER: Duration = Duration::from_secs(8);

/// What is served: one service at most, and its name.
#[derive(Debug, Clone, Default)]
pub struct Served {
    routes: Routes,
    name: Option<&'static str>,
}

impl Served {
    /// The service that tonic generates from its trait.
    pub fn new<S>(service: S) -> Self
    where
        S: Service<Request<Body>, Response = http::Response<Body>, Error = Infallible, Future: Send>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
    {
        Self { routes: Routes::new(service), name: Some(S::NAME) }
    }

    /// Health and reflection, which are always there, alone.
    pub fn nothing() -> Self {
        Self::default()
    }
}

impl From<Served> for Routes {
    fn from(served: Served) -> Self {
        served.routes
    }
}

/// What passes calls on, and has no name of its own.
impl From<Routes> for Served {
    fn from(routes: Routes) -> Self {
        Self { routes, name: None }
    }
}

/// Serves in the clear. Services take [`Tls::serve`].
pub async fn serve(listen_addr: SocketAddr, served: Served, shutdown: &Shutdown) -> Result<(), Error> {
    Tls::off().serve(listen_addr, served, shutdown).await
}

impl Tls {
    /// Serves with health (`grpc.health.v1`) and reflection until the end is requested and calls under way are
    /// answered. With certificates nobody is heard who has not shown his.
    pub async fn serve(&self, listen_addr: SocketAddr, served: Served, shutdown: &Shutdown) -> Result<(), Error> {
        let listener = TcpListener::bind(listen_addr)
            .await
            .map_err(|error| Error::Config(format!("LISTEN_ADDR {listen_addr}: {error}")))?;
        info!(address = %listen_addr, tls = self.is_on(), "answering calls");
        let callers = TcpIncoming::from(listener)
            // without it, Nagle and delayed acknowledgements cost 40 ms a call
            .with_nodelay(Some(true))
            // whoever vanishes before he has said a word of HTTP/2, which has its own way to ask
            .with_keepalive(Some(KEEPALIVE))
            .then(after_a_pause_if_it_failed);
        match self.callers(callers) {
            Ok(callers) => answer(callers, served, shutdown).await,
            Err(callers) => answer(callers, served, shutdown).await,
        }
    }
}

/// Too many open files, mostly: that does not get better by asking at once.
async fn after_a_pause_if_it_failed<T>(accepted: io::Result<T>) -> io::Result<T> {
    if accepted.is_err() {
        sleep(ACCEPT_PAUSE).await;
    }
    accepted
}

async fn answer<C>(callers: impl Stream<Item = io::Result<C>>, served: Served, shutdown: &Shutdown) -> Result<(), Error>
where
    C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
{
    // serving at all is being healthy: the empty service name answers SERVING from the start
    let (_reporter, health) = tonic_health::server::health_reporter();
    // errors are described as well, so that a tool can show what is in them
    let mut reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(contracts::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
        .with_service_name(health_server::SERVICE_NAME)
        .with_service_name(server_reflection_server::SERVICE_NAME);
    if let Some(name) = served.name {
        reflection = reflection.with_service_name(name);
    }
    let reflection = reflection.build_v1().map_err(|error| Error::other("building reflection", error))?;
    let serving = Server::builder()
        .max_concurrent_streams(STREAMS_MAX)
        // callers give up when their deadline passes: a service that stood still finds many such calls at once, and would
        // otherwise take them for an attack and cut off everybody on the connection
        .http2_max_pending_accept_reset_streams(Some(STREAMS_MAX as usize))
        .http2_keepalive_interval(Some(KEEPALIVE))
        .trace_fn(span_of)
        .layer(Observe::new())
        .add_routes(served.routes.add_service(health).add_service(reflection))
        .serve_with_incoming_shutdown(callers, shutdown.clone().requested_owned());
    let overdue = async {
        shutdown.requested().await;
        sleep(HANG_UP_AFTER).await;
    };
    tokio::select! {
        served = serving => served.map_err(|error| Error::other("serving gRPC", error)),
        // a watcher of health or a stopped peer keeps its connection open for ever
        () = overdue => Ok(()),
    }
}

fn span_of<B>(request: &Request<B>) -> Span {
    let path = request.uri().path();
    let method = path.trim_start_matches('/');
    let span = info_span!("call", rpc = path, otel.name = method, otel.kind = "server", trace_id = Empty);
    if telemetry::is_exported() {
        telemetry::note(&span, "rpc.system.name", "grpc");
        telemetry::note(&span, "rpc.method", method.to_owned());
    }
    let traceparent = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
    telemetry::join(&span, traceparent);
    span
}

/// The answer to a list call: each outcome as soon as it is there.
pub type Outcomes<O> = Pin<Box<dyn Stream<Item = Result<O, Status>> + Send>>;

/// Answers each item of a list on its own, as a part of the call's trace. The work is spawned: a caller who hangs up loses the
/// answer, never half of a transaction. A list that is empty or longer than [`LIST_ITEMS_MAX`] is refused.
pub fn outcomes<I, O, F>(
    shutdown: &Shutdown,
    items: Vec<I>,
    each: impl Fn(I) -> F,
) -> Result<Response<Outcomes<O>>, Status>
where
    O: Send + 'static,
    F: Future<Output = O> + Send + 'static,
{
    in_spans(shutdown, items, |item| (Span::current(), each(item)))
}

/// An item that knows its own trace: those of a list belong to different ones.
#[derive(Debug)]
pub struct Traced<I> {
    /// The item.
    pub item: I,
    /// The W3C `traceparent` of who asks; empty when the call's trace will do.
    pub traceparent: String,
}

/// As [`outcomes`], each as a part of its own trace, where its span has the name of this `rpc`.
pub fn traced_outcomes<I, O, F>(
    shutdown: &Shutdown,
    rpc: &'static str,
    items: Vec<Traced<I>>,
    each: impl Fn(I) -> F,
) -> Result<Response<Outcomes<O>>, Status>
where
    O: Send + 'static,
    F: Future<Output = O> + Send + 'static,
{
    in_spans(shutdown, items, |Traced { item, traceparent }| (span_of_item(rpc, &traceparent), each(item)))
}

fn span_of_item(rpc: &'static str, traceparent: &str) -> Span {
    if traceparent.is_empty() {
        return Span::current();
    }
    let span = info_span!(parent: None, "item", rpc, otel.name = rpc, otel.kind = "server", trace_id = Empty);
    telemetry::join(&span, Some(traceparent));
    span
}

/// Refuses a list that is empty or longer than [`LIST_ITEMS_MAX`].
pub fn check_list<I>(items: &[I]) -> Result<(), Status> {
    if items.is_empty() || items.len() > LIST_ITEMS_MAX {
        let detail = format!("a list has 1 to {LIST_ITEMS_MAX} items, this one has {}", items.len());
        return Err(status(ProblemCode::Invalid, detail));
    }
    Ok(())
}

fn in_spans<I, O, F>(
    shutdown: &Shutdown,
    items: Vec<I>,
    begin: impl Fn(I) -> (Span, F),
) -> Result<Response<Outcomes<O>>, Status>
where
    O: Send + 'static,
    F: Future<Output = O> + Send + 'static,
{
    check_list(&items)?;
    let (settled, outcomes) = mpsc::channel(items.len());
    for item in items {
        let settled = settled.clone();
        let (span, work) = begin(item);
        let work = async move {
            // a send fails only when the caller has hung up
            let _ = settled.send(Ok(work.await)).await;
        };
        shutdown.spawn_work(work.instrument(span));
    }
    Ok(Response::new(Box::pin(ReceiverStream::new(outcomes))))
}

/// Runs `work` to its end even if the caller hangs up.
pub async fn uncut<T, F>(shutdown: &Shutdown, work: F) -> Result<T, Status>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Status>> + Send + 'static,
{
    shutdown.spawn_work(work.instrument(Span::current())).await.unwrap_or_else(|panic| {
        error!(%panic, "a call's work ended in a panic");
        Err(status(ProblemCode::Internal, "a fault of ours"))
    })
}
