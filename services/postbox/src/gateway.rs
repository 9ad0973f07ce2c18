//! Talking to a running platform as a customer does: HTTP through the gateway.

use std::time::Duration;

use eventsource_stream::Eventsource;
use futures::{Stream, StreamExt};
use reqwest::header::RETRY_AFTER;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::cli::By;
use crate::failure::Failure;
use crate::state::State;

/// The gateway answers an order within 5 s, whatever happens behind it.
const DEADLINE: Duration = Duration::from_secs(10);

/// How long a client keeps a connection for its next request: shorter than the gateway does, which closes it after 10 s and might do so
/// under a request.
const IDLE_MAX: Duration = Duration::from_secs(5);

/// A customer at the gateway.
#[derive(Debug)]
pub struct Gateway {
    client: reqwest::Client,
    url: String,
    token: String,
}

/// An answer, as it came.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The body, byte for byte.
    pub body: String,
    /// True when the gateway says that it has given this answer before.
    pub replayed: bool,
    /// When the gateway asks to come again.
    pub retry_after: Option<Duration>,
}

/// What became of one request.
#[derive(Debug, Clone)]
pub enum Attempt {
    Answered(Answer),
    /// It was not sent.
    NoConnection,
    /// It may have been sent; what it did nobody knows.
    NoAnswer,
}

/// One change of an order, as the gateway streams it.
#[derive(Debug, Clone)]
pub struct OrderEvent {
    /// Like `order.completed`.
    pub event_type: String,
    /// The order as it stood then.
    pub order: Value,
}

/// A customer's name and password.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Credentials {
    pub email: String,
    pub password: String,
}

impl Credentials {
    /// A customer whom nobody knows yet.
    pub fn new() -> Self {
        let random: u128 = rand::random();
        Self { email: format!("customer-{:016x}@example.com", random >> 64), password: format!("{random:032x}") }
    }
}

impl Gateway {
    /// Registers the customer when the gateway does not know them, and logs in.
    pub async fn enter(state: &State, customer: &Credentials) -> Result<Self, Failure> {
        // a stream of events may last; what is said at once may not
        let client =
            reqwest::Client::builder().no_proxy().connect_timeout(DEADLINE).pool_idle_timeout(IDLE_MAX).build();
        let client = client.expect("a client without TLS can always be built");
        let url = state.service("gateway")?.url.clone();
        let url = url.ok_or_else(|| Failure::usage("services/gateway/service.toml names no port"))?;
        let mut gateway = Self { client, url, token: String::new() };
        if let Some(token) = gateway.log_in(customer).await? {
            gateway.token = token;
            return Ok(gateway);
        }
        let account = json!({
            "email": customer.email, "password": customer.password, "name": "Jo Customer",
            "address": { "line1": "1 Pillar Lane", "city": "Utrecht", "postal_code": "3511 AB", "country": "NL" },
        });
        gateway.send(gateway.post("/v1/accounts").json(&account)).await?.expect(StatusCode::CREATED)?;
        let token = gateway.log_in(customer).await?;
        gateway.token =
            token.ok_or_else(|| Failure::found("the gateway does not know an account that it has just made"))?;
        Ok(gateway)
    }

    /// Places an order for one product.
    pub async fn place_order(
        &self,
        by: By,
        key: &str,
        sku: &str,
        quantity: u32,
        card: &str,
    ) -> Result<Answer, Failure> {
        self.send(self.order_request(by, key, sku, quantity, card)).await
    }

    /// The request that [`Gateway::place_order`] sends.
    pub fn order_request(&self, by: By, key: &str, sku: &str, quantity: u32, card: &str) -> RequestBuilder {
        let order = json!({ "lines": [{ "sku": sku, "quantity": quantity }], "payment": { "card_token": card } });
        let request = self.post("/v1/orders").header("Idempotency-Key", key).json(&order);
        match by {
            By::Telephone => request,
            By::Letter => request.header("Prefer", "respond-async"),
        }
    }

    /// Sends a request once, for callers to whom no answer is an answer, too.
    pub async fn attempt(&self, request: RequestBuilder) -> Attempt {
        match Self::answer(request).await {
            Ok(answer) => Attempt::Answered(answer),
            Err(error) if error.is_connect() => Attempt::NoConnection,
            Err(_) => Attempt::NoAnswer,
        }
    }

    /// The status that a request without a body is answered with, for who wants to know whether it is allowed.
    pub async fn probe(&self, method: Method, path: &str) -> Result<StatusCode, Failure> {
        let request = self.client.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token);
        // routes that change something look for a key before they look at the order
        let request = request.header("Idempotency-Key", "postbox-probe").timeout(DEADLINE);
        // the head alone: a stream may have no end
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        Ok(answer.status())
    }

    /// Cancels an order.
    pub async fn cancel(&self, key: &str, id: &str) -> Result<Answer, Failure> {
        self.send(self.post(&format!("/v1/orders/{id}/cancel")).header("Idempotency-Key", key)).await
    }

    /// Every change of the order after version `after`, 0 being before the first. Ends after the order's last change; or
    /// earlier, when the gateway or order ends.
    pub async fn watch(
        &self,
        id: &str,
        after: i64,
    ) -> Result<impl Stream<Item = Result<OrderEvent, Failure>>, Failure> {
        let request = self.client.get(format!("{}/v1/orders/{id}/events", self.url)).bearer_auth(&self.token);
        let request = if after > 0 { request.header("Last-Event-ID", after) } else { request };
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        match answer.status() {
            StatusCode::OK => {}
            status if status.is_server_error() => {
                return Err(Failure::try_again(format!("the gateway answered {status} to a watch")));
            }
            status => return Err(Failure::found(format!("the gateway answered {status} to a watch"))),
        }
        Ok(answer.bytes_stream().eventsource().map(|event| {
            let event = event.map_err(|error| Failure::try_again(format!("the stream of events broke: {error}")))?;
            let order = serde_json::from_str(&event.data)
                .map_err(|error| Failure::found(format!("an event of the order is no JSON: {error}")))?;
            Ok(OrderEvent { event_type: event.event, order })
        }))
    }

    /// What the customer was written.
    pub async fn messages(&self) -> Result<Vec<Value>, Failure> {
        self.list("/v1/messages").await
    }

    /// Every letter about an order, from whomever.
    pub async fn timeline(&self, id: &str) -> Result<Vec<Value>, Failure> {
        self.list(&format!("/v1/orders/{id}/timeline")).await
    }

    /// The first page of a list.
    pub async fn list(&self, path: &str) -> Result<Vec<Value>, Failure> {
        let page = self.read(path).await?;
        page["items"].as_array().cloned().ok_or_else(|| Failure::found(format!("{path} is no list")))
    }

    /// The order as it is now.
    pub async fn order(&self, id: &str) -> Result<Value, Failure> {
        self.read(&format!("/v1/orders/{id}")).await
    }

    /// The product as it is now.
    pub async fn product(&self, sku: &str) -> Result<Value, Failure> {
        self.read(&format!("/v1/products/{sku}")).await
    }

    /// Products with at least so many pieces, `most` of them at the most.
    pub async fn skus_with(&self, pieces: u32, most: usize) -> Result<Vec<String>, Failure> {
        let (mut skus, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.read(&format!("/v1/products?limit=100{cursor}")).await?;
            let products = page["items"].as_array().into_iter().flatten();
            let plenty = products.filter(|product| product["available"].as_i64() >= Some(pieces.into()));
            skus.extend(plenty.filter_map(|product| Some(product["sku"].as_str()?.to_owned())));
            match page["next_cursor"].as_str() {
                Some(next) if skus.len() < most => cursor = format!("&cursor={next}"),
                _ => {
                    skus.truncate(most);
                    return Ok(skus);
                }
            }
        }
    }

    /// The customer's account.
    pub async fn account_id(&self) -> Result<String, Failure> {
        let account = self.read("/v1/accounts/me").await?;
        account["account_id"].as_str().map(str::to_owned).ok_or_else(|| Failure::found("the account has no id"))
    }

    /// A token; `None` when the gateway knows no such customer.
    async fn log_in(&self, customer: &Credentials) -> Result<Option<String>, Failure> {
        let answer = self.send(self.post("/v1/tokens").json(customer)).await?;
        if answer.status == StatusCode::UNAUTHORIZED {
            return Ok(None);
        }
        let token = answer.expect(StatusCode::OK)?;
        let token =
            token["access_token"].as_str().ok_or_else(|| Failure::found("the answer to a log-in has no token"))?;
        Ok(Some(token.to_owned()))
    }

    async fn read(&self, path: &str) -> Result<Value, Failure> {
        let request = self.client.get(format!("{}{path}", self.url)).bearer_auth(&self.token);
        self.send(request).await?.expect(StatusCode::OK)
    }

    fn post(&self, path: &str) -> RequestBuilder {
        let request = self.client.post(format!("{}{path}", self.url));
        if self.token.is_empty() { request } else { request.bearer_auth(&self.token) }
    }

    async fn send(&self, request: RequestBuilder) -> Result<Answer, Failure> {
        Self::answer(request).await.map_err(|error| self.unreachable(&error))
    }

    async fn answer(request: RequestBuilder) -> reqwest::Result<Answer> {
        let answer = request.timeout(DEADLINE).send().await?;
        let (status, headers) = (answer.status(), answer.headers());
        let replayed = headers.get("idempotent-replayed").is_some_and(|value| value == "true");
        let retry_after = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let retry_after = retry_after.map(Duration::from_secs);
        Ok(Answer { status, body: answer.text().await?, replayed, retry_after })
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        Failure::unreachable(format!("the gateway at {} does not answer: {error}", self.url))
    }
}

impl Answer {
    /// The body, when the status is the expected one.
    pub fn expect(&self, status: StatusCode) -> Result<Value, Failure> {
        if self.status == status { self.json() } else { Err(self.failure(status)) }
    }

    /// The body.
    pub fn json(&self) -> Result<Value, Failure> {
        serde_json::from_str(&self.body)
            .map_err(|error| Failure::found(format!("the gateway answered {} with no JSON: {error}", self.status)))
    }

    fn failure(&self, expected: StatusCode) -> Failure {
        let said = self.json().ok().and_then(|problem| Some(problem["detail"].as_str()?.to_owned()));
        let said = said.unwrap_or_else(|| self.body.chars().take(200).collect());
        let message = format!("the gateway answered {} instead of {expected}: {said}", self.status);
        match self.status.as_u16() {
            429 | 503 => Failure::try_again(message),
            _ => Failure::found(message),
        }
    }
}
