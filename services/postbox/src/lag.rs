//! How far everybody is behind: each consumer group on each topic, and each outbox.

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
        })
    }
}

/// Runs `postbox lag`. A lag is no failure; a service that cannot tell it is: 69.
pub async fn run(common: &Common) -> Result<(), Failure> {
    let operator = Operator::of(&DataFolder::find(common)?.running()?);
    let (outboxes, groups) = tokio::join!(operator.ask_all("/lag/outbox"), operator.list_all("/lag/consumers"));
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
    print(&lags, common.json);
    groups.verdict().and(outboxes.verdict())
}

fn print(lags: &[Line], json: bool) {
    if json {
        println!("{}", json!({ "items": lags }));
        return;
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["service", "group", "topic", "letters", "oldest"]);
    for lag in lags {
        let oldest = if lag.lag_messages == 0 { "–".to_owned() } else { format!("{:.1} s", lag.lag_seconds) };
        let group = lag.group.as_deref().unwrap_or("–");
        table.add_row([&lag.service, group, &lag.topic, &lag.lag_messages.to_string(), &oldest]);
    }
    println!("{table}");
}
