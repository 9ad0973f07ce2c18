//! A gateway of a test's own, tokens that it takes, and a client.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use clap::Parser;
use gateway::{Gateway, config::Cli, routes, serve};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use service_runtime::Shutdown;
use tokio::net::TcpListener;

pub const CUSTOMER: &str = "01936b1e-7c5a-7cc2-a3f1-0242ac120002";
pub const ORDER: &str = r#"{"lines":[{"sku":"mug","quantity":1}],"payment":{"card_token":"tok_visa"}}"#;
pub const PRODUCT: &str = r#"{"name":"Mug","price":{"amount_minor":1250,"currency":"EUR"}}"#;
pub const PERSON: &str = r#"{"email":"ada@example.com","password":"correct horse","name":"Ada"}"#;
pub const ADDRESS: &str = r#"{"line1":"1 High Street","city":"Oxford","postal_code":"OX1","country":"GB"}"#;
pub const LOGIN: &str = r#"{"email":"ada@example.com","password":"correct horse"}"#;
pub const QUANTITY: &str = r#"{"quantity":5}"#;

pub const CANCEL: &str = "/v1/orders/01936b1e-7c5a-7cc2-a3f1-0242ac120003/cancel";
pub const DISPATCH: &str = "/v1/orders/01936b1e-7c5a-7cc2-a3f1-0242ac120003/dispatch";
pub const EVENTS: &str = "/v1/orders/01936b1e-7c5a-7cc2-a3f1-0242ac120003/events";

pub const LIVE: &str = "/v1/analytics/live";

/// The services that a gateway asks.
pub const ASKED: [&str; 6] = ["accounts", "order", "inventory", "shipping", "notification", "analytics"];

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Anyone,
    Customer,
    Operator,
    Both,
}

/// Every route that asks another service: method, path, who, body.
pub const ROUTES: [(&str, &str, Who, Option<&str>); 19] = [
    ("POST", "/v1/accounts", Who::Anyone, Some(PERSON)),
    ("POST", "/v1/tokens", Who::Anyone, Some(LOGIN)),
    ("GET", "/v1/accounts/me", Who::Customer, None),
    ("DELETE", "/v1/accounts/me", Who::Customer, None),
    ("PUT", "/v1/accounts/me/address", Who::Customer, Some(ADDRESS)),
    ("GET", "/v1/products", Who::Anyone, None),
    ("GET", "/v1/products/mug", Who::Anyone, None),
    ("PUT", "/v1/products/mug", Who::Operator, Some(PRODUCT)),
    ("POST", "/v1/products/mug/restock", Who::Operator, Some(QUANTITY)),
    ("POST", "/v1/orders", Who::Customer, Some(ORDER)),
    ("GET", "/v1/orders/01936b1e-7c5a-7cc2-a3f1-0242ac120003", Who::Both, None),
    ("POST", CANCEL, Who::Both, None),
    ("POST", DISPATCH, Who::Operator, None),
    ("GET", EVENTS, Who::Both, None),
    ("GET", "/v1/orders/01936b1e-7c5a-7cc2-a3f1-0242ac120003/timeline", Who::Both, None),
    ("GET", "/v1/messages", Who::Both, None),
    ("GET", "/v1/analytics/sales", Who::Operator, None),
    ("GET", "/v1/analytics/top-products", Who::Operator, None),
    ("GET", LIVE, Who::Operator, None),
];

/// Somebody who is not [`CUSTOMER`].
pub const SOMEBODY_ELSE: &str = "01936b1e-7c5a-7cc2-a3f1-0242ac120009";

/// A signing key as accounts has one.
pub struct Key {
    pub name: &'static str,
    pub pair: Ed25519KeyPair,
}

impl Key {
    pub fn new(name: &'static str) -> Self {
        Self { name, pair: Ed25519KeyPair::generate().unwrap() }
    }

    pub fn public(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.pair.public_key().as_ref())
    }

    pub fn jwks(&self) -> String {
        let key =
            json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": self.name, "x": self.public()});
        json!({"keys": [key]}).to_string()
    }

    pub fn sign(&self, header: &Header, claims: &Value) -> String {
        let der = self.pair.to_pkcs8v1().unwrap();
        jsonwebtoken::encode(header, claims, &EncodingKey::from_ed_der(der.as_ref())).unwrap()
    }

    pub fn header(&self) -> Header {
        Header { kid: Some(self.name.to_owned()), ..Header::new(Algorithm::EdDSA) }
    }

    pub fn token(&self, role: &str) -> String {
        self.sign(&self.header(), &claims(role))
    }

    /// A token of the account `id`.
    pub fn token_of(&self, id: &str, role: &str) -> String {
        let mut claims = claims(role);
        claims["sub"] = json!(id);
        self.sign(&self.header(), &claims)
    }
}

/// What accounts puts into a token.
pub fn claims(role: &str) -> Value {
    let now = now();
    json!({"iss": "postbox-accounts", "aud": "postbox", "sub": CUSTOMER, "roles": [role], "iat": now, "nbf": now, "exp": now + 900})
}

#[expect(clippy::disallowed_methods, reason = "tokens are valid by the machine's clock")]
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A gateway that listens, and the key of its tokens. Whom it asks is not there.
pub struct Running {
    pub address: SocketAddr,
    pub gateway: Arc<Gateway>,
    pub key: Key,
    pub shutdown: Shutdown,
    pub serving: tokio::task::JoinHandle<()>,
    http: reqwest::Client,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.request();
    }
}

/// Starts a gateway with these settings, to which accounts has told its key. Nobody listens where the services should be.
pub async fn start(settings: &[&str]) -> Running {
    let running = start_without_keys(settings).await;
    running.gateway.keys.replace(running.key.jwks()).unwrap();
    running
}

/// As [`start`], but accounts has not been heard of.
pub async fn start_without_keys(settings: &[&str]) -> Running {
    // port 1 is nobody's
    let nobody = ASKED.map(|name| format!("--{name}-url=http://127.0.0.1:1"));
    let args = ["gateway", "serve"].into_iter().chain(nobody.iter().map(String::as_str));
    let mut args: Vec<&str> = args.collect();
    // a setting of the test takes the place of the one above
    args.retain(|arg| !settings.iter().any(|setting| setting.split('=').next() == arg.split('=').next()));
    let cli = Cli::try_parse_from(args.into_iter().chain(settings.iter().copied())).unwrap();
    let (Cli::Serve(config) | Cli::Openapi(config)) = cli;
    let shutdown = Shutdown::new();
    let gateway = Arc::new(Gateway::new(&config, &shutdown).unwrap());
    let key = Key::new("first");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn({
        let (gateway, shutdown) = (gateway.clone(), shutdown.clone());
        async move { serve::serve(listener, routes::routes(gateway), config.connections_max, &shutdown).await }
    });
    let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
    Running { address, gateway, key, shutdown, serving, http }
}

impl Running {
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        self.http.request(Method::from_bytes(method.as_bytes()).unwrap(), self.url(path))
    }

    /// A request with a JSON body.
    pub fn send_json(&self, method: &str, path: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.request(method, path).header("content-type", "application/json").body(body)
    }

    /// A right request to a route, with everything but a token.
    pub fn right(&self, method: &str, path: &str, body: Option<&'static str>) -> RequestBuilder {
        let request = match body {
            Some(body) => self.send_json(method, path, body),
            None => self.request(method, path),
        };
        request.header("idempotency-key", "key-12345678")
    }

    /// A right request to a route, from someone who may call it.
    pub fn right_from(&self, method: &str, path: &str, who: Who, body: Option<&'static str>) -> RequestBuilder {
        let request = self.right(method, path, body);
        match who {
            Who::Anyone => request,
            Who::Customer | Who::Both => request.bearer_auth(self.key.token("customer")),
            Who::Operator => request.bearer_auth(self.key.token("operator")),
        }
    }
}

/// Sends a request, sees that the answer is a whole problem, and gives its status, its code and the document.
pub async fn problem(request: RequestBuilder) -> (u16, String, Value) {
    problem_in(request.send().await.unwrap()).await
}

pub async fn problem_in(response: Response) -> (u16, String, Value) {
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let text = response.text().await.unwrap();
    assert!(status >= 400, "{status}: {text}");
    assert_eq!(headers["content-type"], "application/problem+json", "{status}: {text}");
    assert!(!headers["x-request-id"].is_empty());
    assert_eq!(headers.contains_key("www-authenticate"), status == 401);
    assert_eq!(headers.contains_key("retry-after"), matches!(status, 429 | 503 | 504));
    let document: Value = serde_json::from_str(&text).unwrap();
    let code = document["code"].as_str().unwrap().to_owned();
    assert_eq!(document["status"], status);
    assert_eq!(document["type"], format!("/problems/{code}"));
    assert!(!document["title"].as_str().unwrap().is_empty());
    assert!(!document["detail"].as_str().unwrap().is_empty());
    assert_eq!(document["trace_id"].as_str().unwrap().len(), 32);
    (status, code, document)
}

/// The status and the code of the problem that answers a request.
pub async fn refused(request: RequestBuilder) -> (u16, String) {
    let (status, code, _) = problem(request).await;
    (status, code)
}

/// As [`refused`] gives it.
pub fn with(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}
