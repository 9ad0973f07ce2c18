//! The main story, played against a running platform: an order by telephone, one by letter, a cancel, and both doors side by
//! side while payment is there and while it is not. Every scene checks what it shows; the command succeeds only when all of
//! it was seen.

mod by_letter;
mod cancel;
mod first_order;
mod side_by_side;

use std::time::Duration;

use contracts::topics;
use owo_colors::{OwoColorize, Stream};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::audit::{self, Report};
use crate::cli::Common;
use crate::data::DataFolder;
use crate::failure::Failure;
use crate::gateway::{Credentials, Gateway};
use crate::letters::{Letter, Mailbox};
use crate::state::State;

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

    let order = first_order::telephone(&gateway, &trace).await?;
    first_order::same_key(&gateway, &trace, &order).await?;
    first_order::out_of_stock(&gateway, &trace).await?;
    first_order::declined(&gateway, &trace).await?;
    first_order::followers(&gateway, &mailbox, &trace, &order).await?;
    by_letter::one_order(&gateway, &trace).await?;
    cancel::a_completed_order(&gateway, &trace).await?;
    let table = side_by_side::both_doors(&state, &gateway, &trace).await?;
    let report = audited(state, &trace).await?;

    if common.json {
        println!("{}", json!({ "seen": true, "order_id": order.id, "side_by_side": table, "audit": report.items }));
    } else {
        println!("\nAll of it was seen.");
    }
    Ok(())
}

/// Checks every promise on what the scenes have left behind.
async fn audited(state: State, trace: &Trace) -> Result<Report, Failure> {
    trace.scene("The audit: every promise, checked against the databases, the topics and the card network's own books");
    let report = audit::of_platform(state).await?;
    if !trace.quiet {
        report.print();
    }
    Ok(report)
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
