//! What a client of a service is made of.

use std::{
    future::ready,
    io,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
};

use service_runtime::{Error, telemetry};
use tokio::net::lookup_host;
use tonic::{
    body::Body,
    codegen::{
        BoxFuture, Service, StdError,
        http::{Request, Response, Uri, uri::Scheme},
    },
};

use crate::{
    asking,
    balance::{Balance, LookUp},
    retries::Retries,
    tls::Tls,
};

/// The way to a service. Clones are cheap and share its connections; with the last of them its tasks end, so nobody has to tell
/// it about the end of the process, and calls that are still made while the process drains reach their service.
#[derive(Debug, Clone)]
pub struct Channel {
    balance: Balance,
    retries: Arc<Retries>,
}

/// The way to the service at `url`, in the clear. Services take [`Tls::channel`].
pub fn channel(url: &str) -> Result<Channel, Error> {
    Tls::off().channel(url)
}

impl Tls {
    /// The way to the service at `url`: one connection to each address of its host, and calls are spread over them. Must be called
    /// where tasks can be spawned.
    ///
    /// With certificates, `http://` means them as well, so that a setting of URLs is the same with and without; the one who
    /// answers must have a certificate for the host that the URL names.
    pub fn channel(&self, url: &str) -> Result<Channel, Error> {
        let To { host, port, .. } = self.to(url)?;
        let look_up = move || {
            // an address is its own, and asks nobody
            let host = host.trim_matches(['[', ']']).to_owned();
            async move { Ok(lookup_host((host, port)).await?.collect()) }
        };
        self.channel_found_by(url, look_up)
    }

    /// As [`Self::channel`], with `look_up` to give the addresses instead of the system.
    pub fn channel_found_by<L, F>(&self, url: &str, look_up: L) -> Result<Channel, Error>
    where
        L: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
    {
        let To { origin, .. } = self.to(url)?;
        let look_up: LookUp = Box::new(move || Box::pin(look_up()));
        Ok(Channel { balance: Balance::begin(origin, self.clone(), look_up), retries: Arc::new(Retries::new()) })
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

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), StdError>> {
        // who has time for a call is known when it is there
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if let Err(status) = self.retries.admit(request.uri().path(), request.headers()) {
            return Box::pin(ready(Err(status.into())));
        }
        let send = |request| -> Self::Future { Box::pin(self.balance.clone().call(request)) };
        if telemetry::is_exported() { asking::in_a_span(request, send) } else { send(request) }
    }
}
