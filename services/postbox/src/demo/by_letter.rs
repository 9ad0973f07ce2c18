//! An order by letter: taken at once, carried on by letters, watched.

use futures::StreamExt;
use reqwest::StatusCode;
use tokio::time::{Instant, timeout_at};

use super::{DEADLINE, Trace, check, eventually, new_key, text};
use crate::cli::By;
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::order::{change, summary};

/// Places one, watches it become complete, and looks what the followers made of it.
pub async fn one_order(gateway: &Gateway, trace: &Trace) -> Result<(), Failure> {
    trace.scene("Letter: the same order with Prefer: respond-async. Nobody waits for stock or payment");
    let began = Instant::now();
    let answer = gateway.place_order(By::Letter, &new_key(), "mug", 2, "tok_visa").await?;
    let order = answer.expect(StatusCode::ACCEPTED)?;
    trace.say(&format!("202 in {} ms: {}", began.elapsed().as_millis(), summary(&order)));
    let id = text(&order, "order_id")?;

    let mut events = Box::pin(gateway.watch(&id, 0).await?);
    let until = Instant::now() + DEADLINE;
    let mut is_completed = false;
    while !is_completed {
        let Ok(Some(event)) = timeout_at(until, events.next()).await else {
            return Err(Failure::found(format!("order {id} was not completed within {} s", DEADLINE.as_secs())));
        };
        let event = event?;
        trace.say(&format!("» {}", change(&event.event_type, &event.order)));
        is_completed = event.order["status"] == "COMPLETED";
    }

    trace.scene("What the followers made of it");
    let message = eventually("the customer to be written", async || {
        let messages = gateway.messages().await?;
        Ok(messages.into_iter().find(|message| message["order_id"] == id.as_str()))
    })
    .await?;
    trace.say(&format!("notification wrote: {}", message["subject"].as_str().unwrap_or("nothing")));
    let letters = eventually("analytics to have every letter", async || {
        let timeline = gateway.timeline(&id).await?;
        let has = |event_type: &str| timeline.iter().any(|entry| entry["type"] == event_type);
        let all = ["order.completed", "payment.captured", "shipment.created"].into_iter().all(has);
        Ok(all.then_some(timeline))
    })
    .await?;
    trace.say(&format!("analytics has {} letters about it, from:", letters.len()));
    for entry in &letters {
        let (source, event_type) = (text(entry, "source")?, text(entry, "type")?);
        trace.say(&format!("  {source:<10} {event_type}"));
    }
    check(letters.len() > 3, || "an order by letter has more letters than that".to_owned())
}
