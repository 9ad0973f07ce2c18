//! How long a customer waits for an answer with nobody else there, through either door.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{figure::Figures, platform::Platform};

/// Orders left out at the start: connections are opened and statements prepared.
const WARM_UP: u32 = 50;

/// The pause after each order: what its letters still cause must not be in the next one's time.
const PAUSE: Duration = Duration::from_millis(20);

/// Somebody who orders.
#[derive(Debug, Clone)]
pub struct Customer {
    http: Client,
    url: String,
    id: Uuid,
    credentials: Value,
    token: String,
}

impl Customer {
    /// A new account with an address, and its token.
    pub async fn register(platform: &Platform, email: &str) -> Result<Self> {
        let (http, url) = (Client::new(), platform.url("gateway")?.to_owned());
        let credentials = json!({"email": email, "password": "a long password"});
        let mut account = credentials.clone();
        account["name"] = "Bench".into();
        account["address"] =
            json!({"line1": "1 Pillar Lane", "city": "Utrecht", "postal_code": "3511 AB", "country": "NL"});
        let answer = http.post(format!("{url}/v1/accounts")).json(&account).send().await?.error_for_status()?;
        let answer: Value = answer.json().await?;
        let id = answer["account_id"].as_str().context("no id in the answer")?.parse()?;
        let mut customer = Self { http, url, id, credentials, token: String::new() };
        customer.log_in().await?;
        Ok(customer)
    }

    /// A new token.
    pub async fn log_in(&mut self) -> Result<()> {
        let login = self.http.post(format!("{}/v1/tokens", self.url)).json(&self.credentials);
        let answer: Value = login.send().await?.error_for_status()?.json().await?;
        answer["access_token"].as_str().context("no token in the answer")?.clone_into(&mut self.token);
        Ok(())
    }

    /// The same, who orders at another gateway.
    pub fn elsewhere(mut self, url: &str) -> Self {
        url.clone_into(&mut self.url);
        self
    }

    /// The account.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Orders one sticker. Gives the order's id, and how long the answer took.
    pub async fn order(&self, key: &str, by_letter: bool) -> Result<(String, Duration)> {
        let body = json!({"lines": [{"sku": "sticker", "quantity": 1}], "payment": {"card_token": "tok_visa"}});
        let order = self.http.post(format!("{}/v1/orders", self.url)).bearer_auth(&self.token);
        let mut order = order.header("Idempotency-Key", key).json(&body);
        if by_letter {
            order = order.header("Prefer", "respond-async");
        }
        let began = Instant::now();
        let answer = order.send().await?;
        let took = began.elapsed();
        let (status, body) = (answer.status(), answer.text().await?);
        let expected = if by_letter { StatusCode::ACCEPTED } else { StatusCode::CREATED };
        ensure!(status == expected, "{key}: {status} {body}");
        let order: Value = serde_json::from_str(&body)?;
        Ok((order["order_id"].as_str().unwrap_or_default().to_owned(), took))
    }
}

/// Places `count` orders one after another through each door, in turns.
pub async fn one_at_a_time(platform: &Platform, count: u32, figures: &mut Figures) -> Result<()> {
    let customer = Customer::register(platform, "one-at-a-time@example.com").await?;
    for number in 0..count + WARM_UP {
        for (door, by_letter) in [("by telephone: 201", false), ("by letter: 202", true)] {
            let (_, took) = customer.order(&format!("bench-order-{number}-{by_letter}"), by_letter).await?;
            if number >= WARM_UP {
                figures.milliseconds(format!("one order {door}, nobody else there"), took);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(())
}
