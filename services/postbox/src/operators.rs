//! Asking the services of a running platform what only operators may: on their ops ports.
//!
//! A service has the routes that its mechanism brings along (`crates/consumer/src/admin`, `crates/outbox/src/admin.rs`,
//! `crates/operator-log/src/admin.rs`), so who has what is found out by asking everybody.

use std::time::Duration;

use futures::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::failure::Failure;
use crate::http;
use crate::state::{ServiceAddress, State};

/// The longest that a service takes to answer: a look at Kafka takes up to 8 s.
const DEADLINE: Duration = Duration::from_secs(10);

/// The most items that a service gives at once.
const PAGE: &str = "100";

/// Speaks to services as an operator.
#[derive(Debug)]
pub struct Operator {
    client: reqwest::Client,
    services: Vec<ServiceAddress>,
}

/// What all services said.
#[derive(Debug)]
pub struct Told<T> {
    /// By service; those that do not have the route are not in it.
    pub by_service: Vec<(String, T)>,
    /// Why some could not be asked.
    pub silent: Vec<Failure>,
}

impl<T> Told<T> {
    /// Fails when somebody could not be asked, whom it names. To be called when the rest has been shown.
    pub fn verdict(self) -> Result<(), Failure> {
        self.silent.into_iter().next().map_or(Ok(()), Err)
    }
}

impl Operator {
    /// An operator of this platform.
    pub fn of(state: &State) -> Self {
        Self { client: http::client(DEADLINE), services: state.services.clone() }
    }

    /// What each service answers to GET `path`.
    pub async fn ask_all(&self, path: &str) -> Told<Value> {
        told(join_all(
            self.services
                .iter()
                .map(async |service| (service.name.clone(), self.ask(service, Method::GET, path).await)),
        ))
        .await
    }

    /// The whole list that each service has at `path`.
    pub async fn list_all(&self, path: &str) -> Told<Vec<Value>> {
        told(join_all(self.services.iter().map(async |service| (service.name.clone(), self.list(service, path).await))))
            .await
    }

    /// The beginning of the list that each service has at `path`: so many items, or all.
    pub async fn list_some(&self, path: &str, items_max: usize) -> Told<Vec<Value>> {
        told(join_all(
            self.services
                .iter()
                .map(async |service| (service.name.clone(), self.list_up_to(service, path, items_max).await)),
        ))
        .await
    }

    /// The whole list that one service has at `path`; `None` when it has no such route.
    pub async fn list(&self, service: &ServiceAddress, path: &str) -> Result<Option<Vec<Value>>, Failure> {
        self.list_up_to(service, path, usize::MAX).await
    }

    async fn list_up_to(
        &self,
        service: &ServiceAddress,
        path: &str,
        items_max: usize,
    ) -> Result<Option<Vec<Value>>, Failure> {
        let mut items = Vec::new();
        let mut cursor = None;
        loop {
            let Some(mut page) = self.ask(service, Method::GET, &page_of(path, cursor.as_deref())).await? else {
                return Ok(None);
            };
            let Some(part) = page["items"].as_array_mut() else {
                return Err(Failure::found(format!("{}: {path} is no list", service.name)));
            };
            items.append(part);
            cursor = page["next_cursor"].as_str().map(str::to_owned);
            if cursor.is_none() || items.len() >= items_max {
                items.truncate(items_max);
                return Ok(Some(items));
            }
        }
    }

    /// What one service answers; `None` when it has no such route.
    pub async fn ask(&self, service: &ServiceAddress, method: Method, path: &str) -> Result<Option<Value>, Failure> {
        let name = &service.name;
        let silent = |_| {
            let url = &service.ops_url;
            Failure::unreachable(format!("{name} at {url} does not answer: `postbox logs {name}` tells why"))
        };
        let request = self.client.request(method, format!("{}{path}", service.ops_url));
        let answer = request.send().await.map_err(silent)?;
        let status = answer.status();
        let body = answer.text().await.map_err(silent)?;
        let said = body.lines().next().unwrap_or_default();
        match status {
            StatusCode::OK => serde_json::from_str(&body)
                .map(Some)
                .map_err(|error| Failure::found(format!("{name} answered no JSON: {error}"))),
            // nobody's route; whoever has the route says what is not there
            StatusCode::NOT_FOUND if said.is_empty() => Ok(None),
            StatusCode::SERVICE_UNAVAILABLE => Err(Failure::unreachable(format!("{name}: {said}"))),
            status if said.is_empty() => Err(Failure::found(format!("{name} answered {status}"))),
            _ => Err(Failure::found(format!("{name}: {said}"))),
        }
    }

    /// The service called `name`; `None` when the platform has none.
    pub fn service(&self, name: &str) -> Option<&ServiceAddress> {
        self.services.iter().find(|service| service.name == name)
    }
}

/// The path of a list's part that begins after a cursor, which is an id and needs no escaping.
fn page_of(path: &str, cursor: Option<&str>) -> String {
    let begun = if path.contains('?') { '&' } else { '?' };
    let cursor = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
    format!("{path}{begun}limit={PAGE}{cursor}")
}

async fn told<T>(asked: impl Future<Output = Vec<(String, Result<Option<T>, Failure>)>>) -> Told<T> {
    let mut told = Told { by_service: Vec::new(), silent: Vec::new() };
    for (service, answer) in asked.await {
        match answer {
            Ok(Some(answer)) => told.by_service.push((service, answer)),
            Ok(None) => {}
            Err(failure) => told.silent.push(failure),
        }
    }
    told
}
