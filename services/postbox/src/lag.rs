//! How far everybody is behind: each consumer group on each topic, each outbox, and the orders that are not at their end.

use comfy_table::{Table, presets};
use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::Common;
use crate::data::DataFolder;
use crate::failure::Failure;
use crate::operators::Operator;

/// One line of `postbox lag`.
#[derive(Debug, Serialize)]
struct Line {
    service: String,
    /// `outbox` for letters that wait to be published.
    topic: String,
    /// None for an outbox.
    group: Option<String>,
    lag_messages: i64,
    lag_seconds: f64,
    /// Of a group: letters that wait to be tried again, and those behind them; letters that wait for redrive or discard.
    parked: Option<i64>,
    dead: Option<i64>,
}

impl Line {
    fn new(service: &str, group: Option<&str>, topic: &str, told: &Value) -> Result<Self, Failure> {
        let numbers = told["lag_messages"].as_i64().zip(told["lag_seconds"].as_f64());
        let (lag_messages, lag_seconds) =
            numbers.ok_or_else(|| Failure::found(format!("{service} tells no lag of {topic}")))?;
        Ok(Self {
            service: service.to_owned(),
            topic: topic.to_owned(),
            group: group.map(str::to_owned),
            lag_messages,
            lag_seconds,
            parked: told["parked"].as_i64(),
            dead: told["dead"].as_i64(),
        })
    }
}

/// Runs `postbox lag`. A lag is no failure; a service that cannot tell it is: 69.
pub async fn run(common: &Common) -> Result<(), Failure> {
    let operator = Operator::of(&DataFolder::find(common)?.running()?);
    let (outboxes, groups, sagas) = tokio::join!(
        operator.ask_all("/lag/outbox"),
        operator.list_all("/lag/consumers"),
        operator.list_all("/lag/sagas")
    );
    let mut lags = Vec::new();
    for (service, told) in &outboxes.by_service {
        lags.push(Line::new(service, None, "outbox", told)?);
    }
    for (service, groups) in &groups.by_service {
        for told in groups {
            let topic = told["topic"].as_str().unwrap_or_default();
            lags.push(Line::new(service, told["group"].as_str(), topic, told)?);
        }
    }
    lags.sort_by(|one, other| {
        (&one.service, &one.group, &one.topic).cmp(&(&other.service, &other.group, &other.topic))
    });
    let states: Vec<&Value> = sagas.by_service.iter().flat_map(|(_, states)| states).collect();
    print(&lags, &states, common.json);
    groups.verdict().and(outboxes.verdict()).and(sagas.verdict())
}

fn print(lags: &[Line], states: &[&Value], json: bool) {
    if json {
        println!("{}", json!({ "items": lags, "sagas": states }));
        return;
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["service", "group", "topic", "letters", "oldest", "parked", "dead"]);
    let count = |letters: Option<i64>| letters.map_or_else(|| "–".to_owned(), |letters| letters.to_string());
    for lag in lags {
        let oldest = if lag.lag_messages == 0 { "–".to_owned() } else { format!("{:.1} s", lag.lag_seconds) };
        let group = lag.group.as_deref().unwrap_or("–");
        let letters = lag.lag_messages.to_string();
        table.add_row([&lag.service, group, &lag.topic, &letters, &oldest, &count(lag.parked), &count(lag.dead)]);
    }
    println!("{table}\n");
    if states.is_empty() {
        println!("No order has anything left to do.");
        return;
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["saga", "orders", "oldest"]);
    for state in states {
        let oldest = format!("{:.1} s", state["oldest_age_seconds"].as_f64().unwrap_or_default());
        table.add_row([state["state"].as_str().unwrap_or_default(), &state["orders"].to_string(), &oldest]);
    }
    println!("{table}");
}
