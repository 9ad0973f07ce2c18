//! Requests as they are sent, right ones to begin with.

use std::collections::BTreeMap;

use journeys::customer::{Customer, new_key};
use reqwest::{Method, Response, StatusCode, header::HeaderMap};
use serde_json::Value;

use crate::interface::Operation;

/// Who sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    Nobody,
    Customer,
    Operator,
    /// With this header Authorization.
    Stating(String),
}

/// One request.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: Method,
    pub path: String,
    /// Parameters of the query, as they are.
    pub query: String,
    pub who: Who,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Option<Vec<u8>>,
}

/// What stands in the variable parts of paths.
pub type Names = BTreeMap<&'static str, String>;

impl Request {
    /// A request that the operation takes, by somebody who may.
    pub fn right(operation: &Operation, names: &Names) -> Self {
        let mut path = operation.path.clone();
        for (part, name) in names {
            path = path.replace(&format!("{{{part}}}"), name);
        }
        assert!(!path.contains('{'), "nothing is known for {path}");
        let roles = operation.roles();
        let who = match roles.first() {
            None => Who::Nobody,
            Some(_) if roles.contains(&"customer") => Who::Customer,
            Some(_) => Who::Operator,
        };
        let body = operation.body().map(|body| body.get("example").unwrap_or(&Value::Null));
        let body = body.map(|example| if example.is_null() { "{}".to_owned() } else { example.to_string() });
        let mut request = Self {
            method: operation.method.parse().expect("a method"),
            path,
            query: String::new(),
            who,
            headers: Vec::new(),
            body: body.map(String::into_bytes),
        };
        if request.body.is_some() {
            request.set("content-type", "application/json");
        }
        if operation.takes_header("idempotency-key") {
            request.set("idempotency-key", new_key());
        }
        request
    }

    /// Puts the header in the place of those of this name.
    pub fn set(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.unset(name);
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
    }

    /// Takes the header out.
    pub fn unset(&mut self, name: &str) {
        self.headers.retain(|(known, _)| known != name);
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub content_type: String,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Answer {
    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or(Value::Null)
    }
}

impl Request {
    /// Sends it, and reads the answer whole.
    pub async fn send(&self, customer: &Customer, operator: &Customer) -> Answer {
        let response = self.open(customer, operator).await;
        let (status, headers) = (response.status(), response.headers().clone());
        let content_type = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let content_type = content_type.to_owned();
        let bytes = response.bytes().await.unwrap_or_else(|error| panic!("{self:?}: {error}")).to_vec();
        Answer { status, content_type, headers, bytes }
    }

    /// Sends it, and leaves the answer to be read.
    pub async fn open(&self, customer: &Customer, operator: &Customer) -> Response {
        let query = if self.query.is_empty() { String::new() } else { format!("?{}", self.query) };
        let mut request =
            customer.http().request(self.method.clone(), format!("{}{}{query}", customer.url(), self.path));
        request = match &self.who {
            Who::Nobody => request,
            Who::Customer => request.bearer_auth(customer.token()),
            Who::Operator => request.bearer_auth(operator.token()),
            Who::Stating(authorization) => request.header("authorization", authorization),
        };
        for (name, value) in &self.headers {
            request = request.header(name, value.as_slice());
        }
        if let Some(body) = &self.body {
            request = request.body(body.clone());
        }
        request.send().await.unwrap_or_else(|error| panic!("{self:?}: {error:?}"))
    }
}
