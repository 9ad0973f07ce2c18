//! How long an order takes with nobody else there: HTTP in, gRPC twice, two commits, HTTP out.

use std::time::Instant;

use anyhow::{Result, ensure};
use reqwest::Client;
use serde_json::{Value, json};

use crate::{figure::Figures, platform::Platform};

/// Orders left out at the start: connections are opened and statements prepared.
const WARM_UP: u32 = 50;

/// Places `count` orders one after another.
pub async fn one_at_a_time(platform: &Platform, count: u32, figures: &mut Figures) -> Result<()> {
    let (http, url) = (Client::new(), platform.url("gateway")?);
    let token = customer(&http, url).await?;
    for number in 0..count + WARM_UP {
        let order = http
            .post(format!("{url}/v1/orders"))
            .bearer_auth(&token)
            .header("Idempotency-Key", format!("bench-order-{number}"))
            .json(&json!({"lines": [{"sku": "sticker", "quantity": 1}], "payment": {"card_token": "tok_visa"}}));
        let began = Instant::now();
        let answer = order.send().await?;
        let took = began.elapsed();
        ensure!(answer.status().as_u16() == 201, "order {number}: {}", answer.text().await?);
        if number >= WARM_UP {
            figures.milliseconds("one order by telephone, nobody else there", took);
        }
    }
    Ok(())
}

async fn customer(http: &Client, url: &str) -> Result<String> {
    let credentials = json!({"email": "bench@example.com", "password": "a long password"});
    let mut account = credentials.clone();
    account["name"] = "Bench".into();
    http.post(format!("{url}/v1/accounts")).json(&account).send().await?.error_for_status()?;
    let answer = http.post(format!("{url}/v1/tokens")).json(&credentials).send().await?.error_for_status()?;
    let answer: Value = answer.json().await?;
    Ok(answer["access_token"].as_str().unwrap_or_default().to_owned())
}
