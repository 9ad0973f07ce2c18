//! What a client of a service is made of.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    task::{Context, Poll},
};

use service_runtime::Error;
use tokio::net::lookup_host;
use tonic::{
    body::Body,
    codegen::{
        BoxFuture, Service, StdError,
        http::{Request, Response, Uri},
    },
    transport::{self, Endpoint},
};

use crate::{
    balance::{Balance, LookUp},
    client::{CONNECT_DEADLINE, KEEPALIVE},
};

/// The way to a service. Clones are cheap and share its connections; with the last of them its tasks end, so nobody has to tell
/// it about the end of the process, and calls that are still made while the process drains reach their service.
#[derive(Debug, Clone)]
pub struct Channel(Way);

#[derive(Debug, Clone)]
enum Way {
    /// To an address: one connection, opened at the first call and again whenever it breaks.
    Straight(transport::Channel),
    /// To a name.
    Balanced(Balance),
}

/// The way to the service at `url`. A host that is an address has one connection. A host that is a name has one to each address
/// of the name, and calls are spread over them: see [`balance`](crate::balance). Must be called where tasks can be spawned.
pub fn channel(url: &str) -> Result<Channel, Error> {
    let (uri, host, port) = parsed(url)?;
    if host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
        let endpoint = Endpoint::from(uri)
            .connect_timeout(CONNECT_DEADLINE)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE)
            .keep_alive_while_idle(true);
        return Ok(Channel(Way::Straight(endpoint.connect_lazy())));
    }
    let look_up = move || {
        let host = host.clone();
        async move { Ok(lookup_host((host, port)).await?.collect()) }
    };
    channel_found_by(url, look_up)
}

/// As [`channel`] for a name, which `look_up` gives the addresses of instead of the system.
pub fn channel_found_by<L, F>(url: &str, look_up: L) -> Result<Channel, Error>
where
    L: Fn() -> F + Send + Sync + 'static,
    F: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
{
    let (origin, _, _) = parsed(url)?;
    let look_up: LookUp = Box::new(move || Box::pin(look_up()));
    Ok(Channel(Way::Balanced(Balance::begin(origin, look_up))))
}

fn parsed(url: &str) -> Result<(Uri, String, u16), Error> {
    let not_a_url = |why: &str| Error::Config(format!("{url} is no URL like http://127.0.0.1:50051: {why}"));
    let uri: Uri = url.parse().map_err(|error| not_a_url(&format!("{error}")))?;
    if uri.scheme_str() != Some("http") {
        return Err(not_a_url("it does not begin with http://"));
    }
    let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| not_a_url("it names no host"))?.to_owned();
    let port = uri.port_u16().unwrap_or(80);
    Ok((uri, host, port))
}

impl Service<Request<Body>> for Channel {
    type Response = Response<Body>;
    type Error = StdError;
    type Future = BoxFuture<Response<Body>, StdError>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StdError>> {
        match &mut self.0 {
            Way::Straight(channel) => channel.poll_ready(context).map_err(Into::into),
            // who has time for a call is known when it is there
            Way::Balanced(_) => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match &mut self.0 {
            Way::Straight(channel) => {
                let answering = channel.call(request);
                Box::pin(async move { Ok(answering.await?) })
            }
            Way::Balanced(balance) => Box::pin(balance.clone().call(request)),
        }
    }
}
