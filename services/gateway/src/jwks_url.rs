//! Fetching a JWK set by HTTP, from an issuer outside of the platform. What comes from there is bounded in time and length, and
//! no redirect is followed: the set is at the address that was set, or it is not there.

use std::{error::Error as _, sync::Arc, time::Duration};

use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::{Request, StatusCode, Uri, body::Bytes, header::ACCEPT};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};
use service_runtime::Error;
use tokio::time::timeout;

/// How long the issuer may take, from the first byte to the last. A request may be waiting.
const FETCH_DEADLINE: Duration = Duration::from_secs(2);

/// The longest set, in bytes.
const SET_BYTES_MAX: usize = 64 * 1024;

/// Where a JWK set is.
#[derive(Debug)]
pub struct JwksUrl {
    url: Uri,
    http: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

/// Why a set did not come.
#[derive(Debug, thiserror::Error)]
pub enum NotFetched {
    /// Nothing, or not all, in time.
    #[error("it did not come within {} s", FETCH_DEADLINE.as_secs())]
    TooLate,
    /// No connection, no certificate that is accepted, or no HTTP.
    #[error("{0}")]
    Away(String),
    /// Redirects too.
    #[error("the answer is {0}, and not 200")]
    Status(StatusCode),
    /// Longer than any set.
    #[error("it has more than {} bytes", SET_BYTES_MAX)]
    TooLong,
    /// No UTF-8.
    #[error("it is no text")]
    NoText,
}

impl JwksUrl {
    /// A set at `url`, whose server shows a certificate that leads to one in the file `ca_file`, in PEM; of a CA that browsers know
    /// when that is empty. Fails with the name of the setting that is wrong.
    pub fn new(url: &str, ca_file: &str) -> Result<Self, Error> {
        // it is not repeated: a password may stand in it
        let wrong = |why: &str| Error::Config(format!("JWKS_URL: {why}"));
        let uri: Uri = url.parse().map_err(|_| wrong("it is no URL, like https://issuer.example/jwks.json"))?;
        let is_https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong("it must begin with https:// or http://")),
        };
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(wrong("a JWK set is public: leave out user and password"));
        }
        if !is_https && !ca_file.is_empty() {
            return Err(Error::Config(format!(
                "JWKS_CA_FILE {ca_file}: JWKS_URL is not https, so nobody shows a certificate"
            )));
        }
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        let https = HttpsConnectorBuilder::new().with_tls_config(tls(ca_file)?).https_or_http().enable_http1();
        // it is asked every few minutes: no connection is kept for that
        let http = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(https.wrap_connector(http));
        Ok(Self { url: uri, http })
    }

    /// Whether anybody on the way could change what comes.
    pub fn is_in_the_clear(&self) -> bool {
        self.url.scheme_str() != Some("https")
    }

    /// The set as it is now.
    pub async fn fetch(&self) -> Result<String, NotFetched> {
        timeout(FETCH_DEADLINE, self.ask()).await.unwrap_or(Err(NotFetched::TooLate))
    }

    async fn ask(&self) -> Result<String, NotFetched> {
        let request = Request::get(self.url.clone()).header(ACCEPT, "application/json").body(Empty::new());
        let request = request.expect("the URL and the header were parsed");
        let answer = self.http.request(request).await.map_err(|error| {
            // the innermost cause says what happened
            let mut cause = error.source();
            while let Some(inner) = cause.and_then(std::error::Error::source) {
                cause = Some(inner);
            }
            NotFetched::Away(cause.map_or_else(|| error.to_string(), ToString::to_string))
        })?;
        if answer.status() != StatusCode::OK {
            return Err(NotFetched::Status(answer.status()));
        }
        let body = Limited::new(answer.into_body(), SET_BYTES_MAX).collect().await;
        let body = body.map_err(|error| {
            if error.is::<LengthLimitError>() { NotFetched::TooLong } else { NotFetched::Away(error.to_string()) }
        })?;
        String::from_utf8(body.to_bytes().to_vec()).map_err(|_| NotFetched::NoText)
    }
}

/// Whose certificates are accepted.
fn tls(ca_file: &str) -> Result<ClientConfig, Error> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("aws-lc-rs knows TLS 1.2 and 1.3");
    if ca_file.is_empty() {
        return Ok(builder.with_webpki_roots().with_no_client_auth());
    }
    let wrong = |why: &dyn std::fmt::Display| Error::Config(format!("JWKS_CA_FILE {ca_file}: {why}"));
    let pem = std::fs::read(ca_file).map_err(|error| wrong(&error))?;
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(&pem) {
        roots.add(root.map_err(|error| wrong(&error))?).map_err(|error| wrong(&error))?;
    }
    if roots.is_empty() {
        return Err(wrong(&"there is no certificate in it"));
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
