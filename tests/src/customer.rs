//! A customer of the platform, over HTTP.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use eventsource_stream::{Event, EventStreamError, Eventsource};
use futures::{StreamExt, stream::BoxStream};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use testkit::{SOON, eventually, eventually_some};

use crate::platform::Platform;

/// How long a connection is kept for the next request: shorter than the gateway keeps it, which would close it under a request.
const IDLE_MAX: Duration = Duration::from_secs(5);

/// Somebody with an account and a token.
#[derive(Debug, Clone)]
pub struct Customer {
    http: Client,
    url: String,
    token: String,
}

/// An answer, read whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The header Location.
    pub location: Option<String>,
    /// The header Preference-Applied.
    pub preference_applied: Option<String>,
    /// Whether the answer was given before.
    pub is_replayed: bool,
    /// The very bytes.
    pub bytes: Vec<u8>,
}

impl Answer {
    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or(Value::Null)
    }

    /// The id of the order that the answer is about, of the order itself or of the problem.
    pub fn order_id(&self) -> String {
        self.json()["order_id"].as_str().unwrap_or_else(|| panic!("no order in {self:?}")).to_owned()
    }

    /// Panics with the whole answer when the status is another.
    #[track_caller]
    #[expect(clippy::return_self_not_must_use, reason = "often the status is all that is asked for")]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.bytes));
        self
    }
}

impl Customer {
    /// A new account, with an address.
    pub async fn register(platform: &Platform) -> Self {
        Self::with_account(platform, json!({"name": "A Customer", "address": address()})).await
    }

    /// A new account, without one.
    pub async fn register_without_address(platform: &Platform) -> Self {
        Self::with_account(platform, json!({"name": "A Customer on the move"})).await
    }

    async fn with_account(platform: &Platform, mut account: Value) -> Self {
        account["email"] = json!(format!("{}@example.com", contracts::ids::AccountId::new()));
        account["password"] = json!("a long password");
        Self::register_as(platform, account).await
    }

    /// A new account of somebody who tells this of himself.
    pub async fn register_as(platform: &Platform, account: Value) -> Self {
        let word = |field: &str| account[field].as_str().expect("a registration has it").to_owned();
        let (email, password) = (word("email"), word("password"));
        Self::nobody(platform).send(Method::POST, "/v1/accounts", None, Some(account)).await.expect(201);
        Self::login(platform, &email, &password).await
    }

    /// The operator of the demo.
    pub async fn operator(platform: &Platform) -> Self {
        Self::login(platform, "operator@example.com", "operator-demo").await
    }

    /// Somebody without a token.
    pub fn nobody(platform: &Platform) -> Self {
        let http = Client::builder().no_proxy().pool_idle_timeout(IDLE_MAX).build();
        let http = http.expect("a client without TLS can always be built");
        Self { http, url: platform.url("gateway").to_owned(), token: String::new() }
    }

    async fn login(platform: &Platform, email: &str, password: &str) -> Self {
        let nobody = Self::nobody(platform);
        let credentials = json!({"email": email, "password": password});
        let answer = nobody.send(Method::POST, "/v1/tokens", None, Some(credentials)).await.expect(200);
        let token = answer.json()["access_token"].as_str().expect("a token").to_owned();
        Self { token, ..nobody }
    }

    /// What proves who it is; empty for nobody.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Where the gateway is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// For requests that are built by hand.
    pub const fn http(&self) -> &Client {
        &self.http
    }

    /// The same client with another token, whoever issued it.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// Has the account erased.
    pub async fn erase(&self) {
        self.send(Method::DELETE, "/v1/accounts/me", None, None).await.expect(204);
    }

    /// Any request.
    pub async fn send(&self, method: Method, path: &str, key: Option<&str>, body: Option<Value>) -> Answer {
        self.try_send(method, path, key, body).await.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Any request, by somebody who is prepared for no answer.
    pub async fn try_send(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Option<Value>,
    ) -> reqwest::Result<Answer> {
        let mut request = self.request(method, path, key);
        if let Some(body) = body {
            request = request.json(&body);
        }
        read(request.send().await?).await
    }

    fn request(&self, method: Method, path: &str, key: Option<&str>) -> RequestBuilder {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        request
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None, None).await
    }

    /// Orders `quantity` of `sku` with `card`, under `key`.
    pub async fn order(&self, key: &str, sku: &str, quantity: u32, card: &str) -> Answer {
        self.send(Method::POST, "/v1/orders", Some(key), Some(order_body(sku, quantity, card))).await
    }

    /// Orders one mug with a good card under a new key.
    pub async fn order_a_mug(&self) -> Answer {
        self.order(&new_key(), "mug", 1, "tok_visa").await
    }

    /// Orders `quantity` of `sku` with `card`, under `key`, by letter.
    pub async fn order_by_letter(&self, key: &str, sku: &str, quantity: u32, card: &str) -> Answer {
        self.try_order_by_letter(key, sku, quantity, card).await.expect("the gateway answers")
    }

    /// As [`Customer::order_by_letter`], by somebody who is prepared for no answer.
    pub async fn try_order_by_letter(
        &self,
        key: &str,
        sku: &str,
        quantity: u32,
        card: &str,
    ) -> reqwest::Result<Answer> {
        let request = self.request(Method::POST, "/v1/orders", Some(key)).header("Prefer", "respond-async");
        read(request.json(&order_body(sku, quantity, card)).send().await?).await
    }

    /// Cancels an order under `key`.
    pub async fn cancel(&self, key: &str, order_id: &str) -> Answer {
        self.send(Method::POST, &format!("/v1/orders/{order_id}/cancel"), Some(key), None).await
    }

    /// Opens the order's events; `after` is the last that was seen.
    pub async fn events(&self, order_id: &str, after: Option<i64>) -> Events {
        let mut request = self.request(Method::GET, &format!("/v1/orders/{order_id}/events"), None);
        if let Some(after) = after {
            request = request.header("Last-Event-ID", after);
        }
        Events(open(request).await)
    }

    /// Opens the stream of sales; `after` is the id of the last event that came.
    pub async fn live_sales(&self, after: Option<&str>) -> LiveSales {
        let mut request = self.request(Method::GET, "/v1/analytics/live", None);
        if let Some(after) = after {
            request = request.header("Last-Event-ID", after);
        }
        LiveSales(open(request).await)
    }

    /// The account's id, as a token of accounts tells it: an operator cannot ask for it.
    pub fn account_id(&self) -> String {
        let claims = self.token.split('.').nth(1).expect("a token has three parts");
        let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).expect("it is base64");
        let claims: Value = serde_json::from_slice(&claims).expect("it is JSON");
        claims["sub"].as_str().expect("an id").to_owned()
    }

    /// Waits until the order has this status, and gives it.
    pub async fn order_with_status(&self, order_id: &str, status: &str) -> Value {
        eventually_some(SOON * 2, &format!("order {order_id} is {status}"), async || {
            let order = self.read_order(order_id).await;
            (order["status"] == status).then_some(order)
        })
        .await
    }

    /// The order as it stands.
    pub async fn read_order(&self, order_id: &str) -> Value {
        self.get(&format!("/v1/orders/{order_id}")).await.expect(200).json()
    }

    /// Waits until the order's parcel has this status.
    pub async fn shipment_is(&self, order_id: &str, status: &str) {
        let what = format!("the parcel of order {order_id} is {status}");
        eventually(SOON, &what, async || self.read_order(order_id).await["shipment"]["status"] == status).await;
    }

    /// What can be ordered of `sku` now.
    pub async fn available(&self, sku: &str) -> i64 {
        self.get(&format!("/v1/products/{sku}")).await.expect(200).json()["available"].as_i64().expect("a number")
    }
}

/// Server-sent events as they come. An id without data is none.
type Stream = BoxStream<'static, Result<Event, EventStreamError<reqwest::Error>>>;

async fn open(request: RequestBuilder) -> Stream {
    let response = request.send().await.expect("the gateway answers");
    assert_eq!(response.status(), StatusCode::OK);
    response.bytes_stream().eventsource().boxed()
}

/// The next event; `None` when the stream has ended.
async fn next(stream: &mut Stream) -> Option<Event> {
    let next = tokio::time::timeout(SOON * 2, stream.next()).await.expect("the stream goes on or ends")?;
    Some(next.expect("the stream is not cut"))
}

/// An order's events as they come.
pub struct Events(Stream);

/// Sales as they change.
pub struct LiveSales(Stream);

/// A window that changed.
#[derive(Debug, Clone, PartialEq)]
pub struct SalesEvent {
    /// Where to go on from.
    pub id: String,
    /// The window, as `GET /v1/analytics/sales` tells it.
    pub window: Value,
}

impl LiveSales {
    /// The next window that changed; the stream ends only with the gateway, and after 15 minutes.
    pub async fn next(&mut self) -> SalesEvent {
        let event = next(&mut self.0).await.expect("the stream goes on");
        assert_eq!(event.event, "sales.updated");
        SalesEvent { id: event.id, window: serde_json::from_str(&event.data).expect("JSON") }
    }
}

/// One of them.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderEvent {
    /// The order's version.
    pub id: i64,
    /// Like `order.completed`.
    pub event: String,
    /// The order.
    pub order: Value,
}

impl Events {
    /// The next event; `None` when the stream has ended.
    pub async fn next(&mut self) -> Option<OrderEvent> {
        let event = next(&mut self.0).await?;
        Some(OrderEvent {
            id: event.id.parse().expect("a version"),
            event: event.event,
            order: serde_json::from_str(&event.data).expect("JSON"),
        })
    }

    /// Every event until the stream ends.
    pub async fn rest(mut self) -> Vec<OrderEvent> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

/// An address as the API takes it.
pub fn address() -> Value {
    json!({"line1": "1 Pillar Lane", "city": "Utrecht", "postal_code": "3511 AB", "country": "NL"})
}

/// A body for `POST /v1/orders`.
pub fn order_body(sku: &str, quantity: u32, card: &str) -> Value {
    json!({"lines": [{"sku": sku, "quantity": quantity}], "payment": {"card_token": card}})
}

/// An Idempotency-Key that nobody has used.
pub fn new_key() -> String {
    contracts::ids::OrderId::new().to_string()
}

async fn read(response: Response) -> reqwest::Result<Answer> {
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    Ok(Answer {
        status: response.status(),
        location: header("location").map(str::to_owned),
        preference_applied: header("preference-applied").map(str::to_owned),
        is_replayed: header("idempotent-replayed") == Some("true"),
        bytes: response.bytes().await?.to_vec(),
    })
}
