//! The main story, played against a running platform: an order by telephone, what happens when it cannot be had, and the
//! letters that follow. Every scene checks what it shows; the command succeeds only when all of it was seen.

use std::time::Duration;

use contracts::topics;
use owo_colors::{OwoColorize, Stream};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::cli::Common;
use crate::data::DataFolder;
use crate::failure::Failure;
use crate::gateway::{Answer, Credentials, Gateway};
use crate::letters::{Letter, Mailbox};
use crate::order::summary;

/// Letters and their effects come within a second; on a busy machine within this.
const DEADLINE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

/// Runs `postbox demo`.
pub async fn run(common: &Common) -> Result<(), Failure> {
    let state = DataFolder::find(common)?.running()?;
    let trace = Trace { quiet: common.json };
    let mailbox = Mailbox::open(&state.bootstrap, &topics::ALL.map(topics::Topic::name))?;

    trace.scene("A customer registers and logs in");
    let customer = Credentials::new();
    let gateway = Gateway::enter(&state, &customer).await?;
    trace.say(&format!("{} has a token", customer.email));

    let order = telephone(&gateway, &trace).await?;
    same_key(&gateway, &trace, &order).await?;
    out_of_stock(&gateway, &trace).await?;
    declined(&gateway, &trace).await?;
    followers(&gateway, &mailbox, &trace, &order).await?;

    if common.json {
        println!("{}", json!({ "seen": true, "order_id": order.id }));
    } else {
        println!("\nAll of it was seen.");
    }
    Ok(())
}

/// The order that the story is about.
struct Placed {
    id: String,
    version: i64,
    key: String,
    answer: Answer,
}

async fn telephone(gateway: &Gateway, trace: &Trace) -> Result<Placed, Failure> {
    trace.scene("Telephone: two mugs. Stock and payment are asked while the customer waits");
    let key = new_key();
    let began = Instant::now();
    let answer = gateway.place_order(&key, "mug", 2, "tok_visa").await?;
    let order = answer.expect(StatusCode::CREATED)?;
    trace.say(&format!("201 in {} ms: {}", began.elapsed().as_millis(), summary(&order)));
    check(order["status"] == "COMPLETED", || format!("the order is {}, not COMPLETED", order["status"]))?;
    let id = text(&order, "order_id")?;
    let version = order["version"].as_i64().ok_or_else(|| Failure::found("the order has no version"))?;
    Ok(Placed { id, version, key, answer })
}

async fn same_key(gateway: &Gateway, trace: &Trace, order: &Placed) -> Result<(), Failure> {
    trace.scene("The answer was lost on the way, so the client asks again with the same key");
    let again = gateway.place_order(&order.key, "mug", 2, "tok_visa").await?;
    again.expect(StatusCode::CREATED)?;
    check(again.body == order.answer.body, || "the second answer differs from the first".to_owned())?;
    check(again.replayed, || "the second answer has no Idempotent-Replayed: true".to_owned())?;
    trace.say(&format!("201, Idempotent-Replayed: true, the same {} bytes: no second order", again.body.len()));
    Ok(())
}

async fn out_of_stock(gateway: &Gateway, trace: &Trace) -> Result<(), Failure> {
    trace.scene("A product that is sold out");
    let answer = gateway.place_order(&new_key(), "sold-out", 1, "tok_visa").await?;
    refusal(gateway, trace, &answer, StatusCode::CONFLICT, "out-of-stock").await
}

async fn declined(gateway: &Gateway, trace: &Trace) -> Result<(), Failure> {
    trace.scene("A card that is declined: the stock that was held for it is given back");
    let before = available(gateway, "tee").await?;
    let answer = gateway.place_order(&new_key(), "tee", 1, "tok_declined").await?;
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

async fn followers(gateway: &Gateway, mailbox: &Mailbox, trace: &Trace, order: &Placed) -> Result<(), Failure> {
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

async fn available(gateway: &Gateway, sku: &str) -> Result<i64, Failure> {
    let product = gateway.product(sku).await?;
    product["available"].as_i64().ok_or_else(|| Failure::found(format!("{sku} does not tell what is available")))
}

fn new_key() -> String {
    format!("demo-{}", uuid::Uuid::now_v7())
}

fn text(value: &Value, field: &str) -> Result<String, Failure> {
    let found = value[field].as_str().map(str::to_owned);
    found.ok_or_else(|| Failure::found(format!("the answer has no {field}: {value}")))
}

fn check(seen: bool, otherwise: impl FnOnce() -> String) -> Result<(), Failure> {
    if seen { Ok(()) } else { Err(Failure::found(otherwise())) }
}

async fn eventually<T>(what: &str, find: impl AsyncFn() -> Result<Option<T>, Failure>) -> Result<T, Failure> {
    let until = Instant::now() + DEADLINE;
    while Instant::now() < until {
        if let Some(found) = find().await? {
            return Ok(found);
        }
        sleep(POLL).await;
    }
    Err(Failure::found(format!("waited {} s in vain for {what}", DEADLINE.as_secs())))
}

/// What the user sees of the story; nothing with `--json`.
struct Trace {
    quiet: bool,
}

impl Trace {
    fn scene(&self, title: &str) {
        if !self.quiet {
            println!("\n{}", title.if_supports_color(Stream::Stdout, |title| title.bold()));
        }
    }

    fn say(&self, line: &str) {
        if !self.quiet {
            println!("  {line}");
        }
    }

    fn letter(&self, letter: &Letter) {
        let Letter { topic, partition, event } = letter;
        let (kind, sequence) = (&event.event_type, event.sequence);
        self.say(&format!("✉ {topic}/{partition}  key {}  ce_type {kind}  ce_sequence {sequence}", event.subject));
    }
}
