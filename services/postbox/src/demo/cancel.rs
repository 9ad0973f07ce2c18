//! Cancelling: the parcel is stopped, the money goes back, the stock returns.

use reqwest::StatusCode;

use super::{Trace, available, check, eventually, new_key, text};
use crate::cli::By;
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::order::summary;

/// Cancels a completed order.
pub async fn a_completed_order(gateway: &Gateway, trace: &Trace) -> Result<(), Failure> {
    trace.scene("The customer thinks again: cancel a completed order");
    let before = available(gateway, "poster").await?;
    let answer = gateway.place_order(By::Telephone, &new_key(), "poster", 1, "tok_visa").await?;
    let id = text(&answer.expect(StatusCode::CREATED)?, "order_id")?;
    let answer = gateway.cancel(&new_key(), &id).await?;
    check(answer.status == StatusCode::OK || answer.status == StatusCode::ACCEPTED, || {
        format!("the cancel was answered with {}", answer.status)
    })?;
    let order = eventually("the order to be cancelled", async || {
        let order = gateway.order(&id).await?;
        Ok((order["status"] == "CANCELLED").then_some(order))
    })
    .await?;
    let (payment, parcel) = (&order["payment"]["status"], &order["shipment"]["status"]);
    check(payment == "REFUNDED", || format!("the payment is {payment}, not REFUNDED"))?;
    trace.say(&format!("{}: payment {}, parcel {}", summary(&order), display(payment), display(parcel)));
    eventually("the stock to return", async || Ok((available(gateway, "poster").await? == before).then_some(())))
        .await?;
    trace.say(&format!("poster: {before} available before, {before} after: it returned by letter"));
    Ok(())
}

fn display(value: &serde_json::Value) -> &str {
    value.as_str().unwrap_or("none")
}
