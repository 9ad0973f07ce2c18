//! Placing one order with a running platform.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use contracts::money::Money;
use futures::StreamExt;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::cli::{Common, OrderOptions};
use crate::data::DataFolder;
use crate::failure::Failure;
use crate::gateway::{Credentials, Gateway, OrderEvent};

/// Runs `postbox order`. An order that is refused (out of stock, declined) is something wrong: exit code 1.
pub async fn run(common: &Common, options: &OrderOptions) -> Result<(), Failure> {
    let data = DataFolder::find(common)?;
    let state = data.running()?;
    let gateway = Gateway::enter(&state, &customer(&data)?).await?;
    let key = options.key.clone().unwrap_or_else(|| format!("postbox-{}", uuid::Uuid::now_v7()));
    let answer = gateway.place_order(options.by, &key, &options.sku, options.quantity, &options.card).await?;
    let body = answer.json()?;
    if common.json {
        println!("{}", answer.body);
    }
    if !matches!(answer.status, StatusCode::CREATED | StatusCode::ACCEPTED) {
        let code = body["code"].as_str().unwrap_or("no code");
        let detail = body["detail"].as_str().unwrap_or("no detail");
        return Err(Failure::found(format!("{}: {code}: {detail}", answer.status)));
    }
    if !common.json {
        println!("{}", summary(&body));
    }
    if options.watch { watch(common, &gateway, &body).await } else { Ok(()) }
}

/// How often in a row a watch is opened again that ended before the order did, and the pause before each.
const REOPENED_MAX: u32 = 20;
const REOPEN_AFTER: Duration = Duration::from_millis(500);

/// Shows every change of the order until its last, over broken connections.
async fn watch(common: &Common, gateway: &Gateway, order: &Value) -> Result<(), Failure> {
    let id = order["order_id"].as_str().ok_or_else(|| Failure::found("the answer names no order"))?;
    let (mut version, mut reopened) = (0, 0);
    loop {
        match watch_on(common, gateway, id, &mut version, &mut reopened).await {
            Ok(Some(last)) => return verdict(&last),
            Err(failure) if !failure.is_worth_another_try() => return Err(failure),
            Ok(None) | Err(_) => {}
        }
        if reopened == REOPENED_MAX {
            return Err(Failure::try_again(format!("the watch of order {id} breaks off again and again")));
        }
        reopened += 1;
        tokio::time::sleep(REOPEN_AFTER).await;
    }
}

/// Shows what comes after `version` over one connection. Gives the order as its last change left it; `None` when the
/// connection ended before that.
async fn watch_on(
    common: &Common,
    gateway: &Gateway,
    id: &str,
    version: &mut i64,
    reopened: &mut u32,
) -> Result<Option<Value>, Failure> {
    let mut events = Box::pin(gateway.watch(id, *version).await?);
    while let Some(event) = events.next().await {
        let OrderEvent { event_type, order } = event?;
        if common.json {
            println!("{}", json!({ "event": event_type, "order": order }));
        } else {
            println!("{}", change(&event_type, &order));
        }
        *version = order["version"].as_i64().unwrap_or(*version);
        *reopened = 0;
        if is_last(&order) {
            return Ok(Some(order));
        }
    }
    Ok(None)
}

/// Whether nothing about the order can change any more.
fn is_last(order: &Value) -> bool {
    match order["status"].as_str() {
        Some("REJECTED" | "CANCELLED") => true,
        Some("COMPLETED") => order["shipment"]["status"] == "DELIVERED",
        _ => false,
    }
}

fn verdict(last: &Value) -> Result<(), Failure> {
    if last["status"] == "REJECTED" {
        let reason = last["reason"].as_str().unwrap_or("for no reason");
        return Err(Failure::found(format!("the order is rejected: {reason}")));
    }
    Ok(())
}

/// One line about a change: `version 3  order.completed  COMPLETED  payment CAPTURED  no parcel`.
pub fn change(event_type: &str, order: &Value) -> String {
    let parcel =
        order["shipment"]["status"].as_str().map_or_else(|| "no parcel".to_owned(), |it| format!("parcel {it}"));
    format!(
        "version {}  {event_type:<23} {:<10} payment {:<9} {parcel}",
        order["version"],
        order["status"].as_str().unwrap_or("–"),
        order["payment"]["status"].as_str().unwrap_or("–"),
    )
}

/// Orders of one data folder belong to one customer, who is kept in it.
fn customer(data: &DataFolder) -> Result<Credentials, Failure> {
    let path = data.file(Path::new("secrets/customer.json"))?;
    if let Ok(text) = std::fs::read(&path) {
        return serde_json::from_slice(&text)
            .map_err(|error| Failure::usage(format!("{} is damaged ({error}): delete it", path.display())));
    }
    let customer = Credentials::new();
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    let file = file.map_err(Failure::io("create", &path))?;
    serde_json::to_writer(file, &customer).map_err(|error| Failure::io("write", &path)(error.into()))?;
    Ok(customer)
}

/// One line about an order: `COMPLETED  2 × mug  25.00 EUR  0198…`.
pub fn summary(order: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("–").to_owned();
    let lines = order["lines"].as_array().into_iter().flatten();
    let lines: Vec<String> = lines.map(|line| format!("{} × {}", line["quantity"], text(&line["sku"]))).collect();
    format!(
        "{}  {}  {}  {}",
        text(&order["status"]),
        lines.join(", "),
        money(&order["total"]),
        text(&order["order_id"])
    )
}

fn money(money: &Value) -> String {
    let parts = money["amount_minor"].as_i64().zip(money["currency"].as_str());
    let money = parts.and_then(|(amount, currency)| Money::from_code(amount, currency).ok());
    money.map_or_else(|| "not priced".to_owned(), |money| money.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_told_in_one_line() {
        let order = json!({
            "order_id": "0198", "status": "COMPLETED", "lines": [{ "sku": "mug", "quantity": 2 }],
            "total": { "amount_minor": 2500, "currency": "EUR" },
        });
        assert_eq!(summary(&order), "COMPLETED  2 × mug  25.00 EUR  0198");
    }

    #[test]
    fn an_order_without_a_price_is_told_too() {
        let order = json!({ "order_id": "0198", "status": "PENDING", "lines": [], "total": null });
        assert_eq!(summary(&order), "PENDING    not priced  0198");
    }
}
