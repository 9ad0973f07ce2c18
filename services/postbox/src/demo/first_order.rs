//! An order by telephone, what happens when it cannot be had, and the letters that follow.

use reqwest::StatusCode;
use tokio::time::Instant;

use super::{DEADLINE, Trace, available, check, eventually, new_key, text};
use crate::cli::By;
use crate::failure::Failure;
use crate::gateway::{Answer, Gateway};
use crate::letters::Mailbox;
use crate::order::summary;

/// The order that the story is about.
pub struct Placed {
    pub id: String,
    version: i64,
    key: String,
    answer: Answer,
}

pub async fn telephone(gateway: &Gateway, trace: &Trace) -> Result<Placed, Failure> {
    trace.scene("Telephone: two mugs. Stock and payment are asked while the customer waits");
    let key = new_key();
    let began = Instant::now();
    let answer = gateway.place_order(By::Telephone, &key, "mug", 2, "tok_visa").await?;
    let order = answer.expect(StatusCode::CREATED)?;
    trace.say(&format!("201 in {} ms: {}", began.elapsed().as_millis(), summary(&order)));
    check(order["status"] == "COMPLETED", || format!("the order is {}, not COMPLETED", order["status"]))?;
    let id = text(&order, "order_id")?;
    let version = order["version"].as_i64().ok_or_else(|| Failure::found("the order has no version"))?;
    Ok(Placed { id, version, key, answer })
}

pub async fn same_key(gateway: &Gateway, trace: &Trace, order: &Placed) -> Result<(), Failure> {
    trace.scene("The answer was lost on the way, so the client asks again with the same key");
    let again = gateway.place_order(By::Telephone, &order.key, "mug", 2, "tok_visa").await?;
    again.expect(StatusCode::CREATED)?;
    check(again.body == order.answer.body, || "the second answer differs from the first".to_owned())?;
    check(again.replayed, || "the second answer has no Idempotent-Replayed: true".to_owned())?;
    trace.say(&format!("201, Idempotent-Replayed: true, the same {} bytes: no second order", again.body.len()));
    Ok(())
}

pub async fn out_of_stock(gateway: &Gateway, trace: &Trace) -> Result<(), Failure> {
    trace.scene("A product that is sold out");
    let answer = gateway.place_order(By::Telephone, &new_key(), "sold-out", 1, "tok_visa").await?;
    refusal(gateway, trace, &answer, StatusCode::CONFLICT, "out-of-stock").await
}

pub async fn declined(gateway: &Gateway, trace: &Trace) -> Result<(), Failure> {
    trace.scene("A card that is declined: the stock that was held for it is given back");
    let before = available(gateway, "tee").await?;
    let answer = gateway.place_order(By::Telephone, &new_key(), "tee", 1, "tok_declined").await?;
    refusal(gateway, trace, &answer, StatusCode::PAYMENT_REQUIRED, "payment-declined").await?;
    let after = eventually("the stock to be given back", async || {
        let now = available(gateway, "tee").await?;
        Ok((now == before).then_some(now))
    })
    .await?;
    trace.say(&format!("tee: {before} available before, {after} after"));
    Ok(())
}

/// Checks a refusal: the status, the code, and that the order that it names is REJECTED.
async fn refusal(
    gateway: &Gateway,
    trace: &Trace,
    answer: &Answer,
    status: StatusCode,
    code: &str,
) -> Result<(), Failure> {
    let problem = answer.expect(status)?;
    check(problem["code"] == code, || format!("the problem's code is {}, not {code}", problem["code"]))?;
    let order = gateway.order(&text(&problem, "order_id")?).await?;
    check(order["status"] == "REJECTED", || format!("the order is {}, not REJECTED", order["status"]))?;
    trace.say(&format!("{} {code}: {}", status.as_u16(), summary(&order)));
    Ok(())
}

pub async fn followers(gateway: &Gateway, mailbox: &Mailbox, trace: &Trace, order: &Placed) -> Result<(), Failure> {
    trace.scene("Postbox: what followed the first order, letter by letter, while nobody waited");
    let updated = "order.shipment_updated";
    mailbox.wait_for(&order.id, updated, DEADLINE, |letter| trace.letter(letter)).await?;
    let shipped = eventually("the order to show its shipment", async || {
        let now = gateway.order(&order.id).await?;
        let moved = now["version"].as_i64().is_some_and(|version| version > order.version);
        Ok((moved && now["shipment"].is_object()).then_some(now))
    })
    .await?;
    let (version, status) = (&shipped["version"], text(&shipped["shipment"], "status")?);
    trace.say(&format!("the order went from version {} to {version}; its shipment is {status}", order.version));
    Ok(())
}
