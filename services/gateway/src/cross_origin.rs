//! Pages of other origins that use the API (Fetch, "CORS protocol"): browsers ask whether they may, before a request that is not
//! a simple one, and look whether they may read what came back. Tokens travel in a header that a page sets itself, so there are no
//! credentials in the sense of CORS, and `*` gives nothing away.

use std::{convert::Infallible, str::FromStr, time::Duration};

use axum::{
    extract::{Request, State},
    http::{
        HeaderName, HeaderValue, Method, Uri,
        header::{
            ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION, ORIGIN,
            RETRY_AFTER,
        },
    },
    middleware::Next,
    response::Response,
};
use tower::{Layer, ServiceExt};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// The methods of our routes. Every one that has GET has HEAD.
const METHODS: [Method; 5] = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE];

/// What a request may bring.
const REQUEST_HEADERS: [HeaderName; 8] = [
    AUTHORIZATION,
    CONTENT_TYPE,
    IF_NONE_MATCH,
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("last-event-id"),
    HeaderName::from_static("prefer"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("x-request-id"),
];

/// What of an answer a page may read, beside what it always may.
const ANSWER_HEADERS: [HeaderName; 8] = [
    ETAG,
    LOCATION,
    RETRY_AFTER,
    HeaderName::from_static("idempotent-replayed"),
    HeaderName::from_static("preference-applied"),
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("ratelimit-policy"),
    HeaderName::from_static("x-request-id"),
];

/// How long a browser need not ask again.
const MAX_AGE: Duration = Duration::from_hours(1);

/// The origins whose pages may use the API. As text, origins like `https://shop.example`, separated by commas; `*`: any;
/// empty: none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedOrigins {
    /// None but the API's own, for which browsers do not ask.
    None,
    /// Any.
    Any,
    /// These, as browsers write them.
    These(Vec<HeaderValue>),
}

/// Text that names no origins.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no origin: it is written like https://shop.example or http://localhost:3000, in lower case, without the usual port \
     and with nothing behind; several are separated by commas, and * stands alone"
)]
pub struct InvalidOrigin(String);

impl FromStr for AllowedOrigins {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        match text.trim() {
            "" => Ok(Self::None),
            "*" => Ok(Self::Any),
            several => several.split(',').map(|one| origin(one.trim())).collect::<Result<_, _>>().map(Self::These),
        }
    }
}

/// An origin as browsers write it (RFC 6454, section 6.2): it is compared as it stands, so any other spelling would never match.
fn origin(text: &str) -> Result<HeaderValue, InvalidOrigin> {
    let invalid = || InvalidOrigin(text.to_owned());
    let uri: Uri = text.parse().map_err(|_| invalid())?;
    let (scheme, host) = (uri.scheme_str().ok_or_else(invalid)?, uri.host().ok_or_else(invalid)?);
    let written = match uri.port_u16() {
        None => format!("{scheme}://{host}"),
        Some(port) => format!("{scheme}://{host}:{port}"),
    };
    let has_usual_port = matches!((scheme, uri.port_u16()), ("http", Some(80)) | ("https", Some(443)));
    // `Uri` takes more for a host than there is in names and addresses
    let is_host = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'[' | b']' | b':');
    if written != text || has_usual_port || host.is_empty() || !host.bytes().all(is_host) {
        return Err(invalid());
    }
    HeaderValue::from_str(text).map_err(|_| invalid())
}

/// What is said to browsers; nothing when no origin is allowed.
pub fn layer(allowed: &AllowedOrigins) -> Option<CorsLayer> {
    let cors = CorsLayer::new()
        .allow_methods(METHODS)
        .allow_headers(REQUEST_HEADERS)
        .expose_headers(ANSWER_HEADERS)
        .max_age(MAX_AGE);
    match allowed {
        AllowedOrigins::None => None,
        // the same to everybody
        AllowedOrigins::Any => Some(cors.allow_origin(AllowOrigin::any()).vary(Vec::<HeaderName>::new())),
        AllowedOrigins::These(origins) => {
            Some(cors.allow_origin(AllowOrigin::list(origins.iter().cloned())).vary([ORIGIN]))
        }
    }
}

/// Answers browsers that ask, and says in every other answer who may read it. An OPTIONS that is not a browser's question is
/// answered like any other method that a route does not have.
pub async fn share(State(cors): State<CorsLayer>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let is_question = headers.contains_key(ORIGIN) && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    if request.method() == Method::OPTIONS && !is_question {
        return next.run(request).await;
    }
    let answered: Result<Response, Infallible> = cors.layer(next).oneshot(request).await;
    let Ok(response) = answered;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_written_as_browsers_write_them() {
        assert_eq!("".parse(), Ok(AllowedOrigins::None));
        assert_eq!(" * ".parse(), Ok(AllowedOrigins::Any));
        let these = |texts: &[&'static str]| {
            Ok(AllowedOrigins::These(texts.iter().map(|text| HeaderValue::from_static(text)).collect()))
        };
        for right in [
            "https://shop.example",
            "http://localhost:3000",
            "http://127.0.0.1:8080",
            "https://[::1]:8443",
            "http://shop.example:443",
            "https://xn--bcher-kva.example",
            "capacitor://localhost",
        ] {
            assert_eq!(right.parse(), these(&[right]));
        }
        assert_eq!("https://a.example, http://b.example".parse(), these(&["https://a.example", "http://b.example"]));
    }

    #[test]
    fn what_a_browser_would_never_send_is_refused() {
        for wrong in [
            "shop.example",
            "https://",
            "https://shop.example/",
            "https://shop.example/path",
            "https://shop.example?query",
            "https://shop.example:443",
            "http://shop.example:80",
            "https://shop.example:",
            "https://shop.example:99999",
            "https://user@shop.example",
            "https://Shop.example",
            "HTTPS://shop.example",
            "https://bücher.example",
            "https://*.example",
            "https://shop example",
            "null",
            "//shop.example",
            "https://a.example,",
            ",https://a.example",
            "https://a.example,*",
            "*,*",
            "https://a.example;https://b.example",
        ] {
            assert!(wrong.parse::<AllowedOrigins>().is_err(), "{wrong}");
        }
    }
}
