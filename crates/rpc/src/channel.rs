//! What a client of a service is made of.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    task::{Context, Poll},
};

use hyper_util::rt::TokioIo;
use service_runtime::{Error, telemetry};
use tokio::net::{TcpStream, lookup_host};
use tonic::{
    body::Body,
    codegen::{
        BoxFuture, Service, StdError,
        http::{Request, Response, Uri, uri::Scheme},
    },
    transport::{self, Endpoint},
};
use tower::service_fn;

use crate::{
    asking,
    balance::{Balance, LookUp},
    client::{CONNECT_DEADLINE, KEEPALIVE},
    tls::Tls,
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

/// The way to the service at `url`, in the clear. Services take [`Tls::channel`].
pub fn channel(url: &str) -> Result<Channel, Error> {
    Tls::off().channel(url)
}

impl Tls {
    /// The way to the service at `url`. A host that is an address has one connection. A host that is a name has one to each
    /// address of the name, and calls are spread over them. Must be called where tasks can be spawned.
    ///
    /// With certificates, `http://` means them as well, so that a setting of URLs is the same with and without; the one who
    /// answers must have a certificate for the host that the URL names.
    pub fn channel(&self, url: &str) -> Result<Channel, Error> {
        let To { origin, host, port } = self.to(url)?;
        let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() else {
            let look_up = move || {
                let host = host.clone();
                async move { Ok(lookup_host((host, port)).await?.collect()) }
            };
            return self.channel_found_by(url, look_up);
        };
        let endpoint = Endpoint::from(origin)
            .connect_timeout(CONNECT_DEADLINE)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE)
            .keep_alive_while_idle(true);
        if !self.is_on() {
            return Ok(Channel(Way::Straight(endpoint.connect_lazy())));
        }
        let tls = self.clone();
        let connector = service_fn(move |_: Uri| {
            let (tls, host) = (tls.clone(), host.clone());
            async move {
                let stream = TcpStream::connect((address, port)).await?;
                stream.set_nodelay(true)?;
                tls.secured(&host, stream).await.map(TokioIo::new)
            }
        });
        Ok(Channel(Way::Straight(endpoint.connect_with_connector_lazy(connector))))
    }

    /// As [`Self::channel`] for a name, which `look_up` gives the addresses of instead of the system.
    pub fn channel_found_by<L, F>(&self, url: &str, look_up: L) -> Result<Channel, Error>
    where
        L: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
    {
        let To { origin, .. } = self.to(url)?;
        let look_up: LookUp = Box::new(move || Box::pin(look_up()));
        Ok(Channel(Way::Balanced(Balance::begin(origin, self.clone(), look_up))))
    }

    fn to(&self, url: &str) -> Result<To, Error> {
        let not_a_url = |why: &str| Error::Config(format!("{url} is no URL like http://127.0.0.1:50051: {why}"));
        let mut parts = url.parse::<Uri>().map_err(|error| not_a_url(&error.to_string()))?.into_parts();
        let default_port = match parts.scheme.as_ref().map(Scheme::as_str) {
            Some("http") => 80,
            Some("https") if self.is_on() => 443,
            Some("https") => return Err(not_a_url("https needs the certificates of TLS_DIR")),
            _ => return Err(not_a_url("it does not begin with http://")),
        };
        let authority = parts.authority.as_ref().filter(|authority| !authority.host().is_empty());
        let authority = authority.ok_or_else(|| not_a_url("it names no host"))?;
        let (host, port) = (authority.host().to_owned(), authority.port_u16().unwrap_or(default_port));
        parts.scheme = Some(if self.is_on() { Scheme::HTTPS } else { Scheme::HTTP });
        let origin = Uri::from_parts(parts).map_err(|error| not_a_url(&error.to_string()))?;
        Ok(To { origin, host, port })
    }
}

/// What a URL says.
struct To {
    origin: Uri,
    host: String,
    port: u16,
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
        if telemetry::is_exported() {
            return asking::in_a_span(request, |request| self.0.call(request));
        }
        self.0.call(request)
    }
}

impl Way {
    fn call(&mut self, request: Request<Body>) -> BoxFuture<Response<Body>, StdError> {
        match self {
            Self::Straight(channel) => {
                let answering = channel.call(request);
                Box::pin(async move { Ok(answering.await?) })
            }
            Self::Balanced(balance) => Box::pin(balance.clone().call(request)),
        }
    }
}
