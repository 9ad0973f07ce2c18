//! What operators have done. Each service has the log of its own, in its own database; here they are one.

use comfy_table::{Table, presets};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::cli::{Common, OperatorLogOptions, OperatorsCommand};
use crate::data::DataFolder;
use crate::failure::Failure;
use crate::operators::{Operator, Told};

/// An action, as a service tells it.
#[derive(Debug, Deserialize)]
struct Entry {
    /// Of the row, in the service's database.
    id: i64,
    /// RFC 3339 in UTC, always as many digits: as text it sorts as the times do.
    at: String,
    operator: String,
    action: String,
    object: String,
    detail: Map<String, Value>,
    trace_id: Option<String>,
}

/// An action, as it is told here.
#[derive(Debug, Serialize)]
struct Line {
    at: String,
    service: String,
    operator: String,
    action: String,
    object: String,
    detail: Map<String, Value>,
    trace_id: Option<String>,
}

/// Runs `postbox operators`.
pub async fn run(common: &Common, command: &OperatorsCommand) -> Result<(), Failure> {
    let OperatorsCommand::Log(options) = command;
    let limit = usize::from(options.limit);
    let operator = Operator::of(&DataFolder::find(common)?.running()?);
    // one more than is shown tells whether there are more
    let mut told = operator.list_some(&path(options), limit + 1).await;
    let mut lines = merged(&mut told)?;
    let is_whole = lines.len() <= limit;
    lines.truncate(limit);
    if common.json {
        println!("{}", json!({ "items": lines }));
    } else if lines.is_empty() && told.silent.is_empty() {
        println!("no operator has done anything");
    } else {
        println!("{}", table(&lines));
        if !is_whole {
            println!("\nThere are older ones: `--limit N`, up to 10000.");
        }
    }
    told.verdict()
}

fn path(options: &OperatorLogOptions) -> String {
    let mut asked = form_urlencoded::Serializer::new(String::new());
    if let Some(since) = options.since {
        asked.append_pair("since", &since.to_string());
    }
    if let Some(operator) = &options.operator {
        asked.append_pair("operator", operator);
    }
    match asked.finish().as_str() {
        "" => "/operator-log".to_owned(),
        asked => format!("/operator-log?{asked}"),
    }
}

/// The entries of all services, newest first; those of one service in its own order.
fn merged(told: &mut Told<Vec<Value>>) -> Result<Vec<Line>, Failure> {
    let mut all = Vec::new();
    for (service, entries) in std::mem::take(&mut told.by_service) {
        for entry in entries {
            let entry: Entry = serde_json::from_value(entry).map_err(|error| {
                Failure::found(format!("{service} tells what is no entry of an operator log: {error}"))
            })?;
            let Entry { id, at, operator, action, object, detail, trace_id } = entry;
            all.push((id, Line { at, service: service.clone(), operator, action, object, detail, trace_id }));
        }
    }
    all.sort_by(|(one_id, one), (other_id, other)| {
        (&other.at, &one.service, other_id).cmp(&(&one.at, &other.service, one_id))
    });
    Ok(all.into_iter().map(|(_, line)| line).collect())
}

fn table(lines: &[Line]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["at", "service", "operator", "action", "object", "detail", "trace"]);
    for line in lines {
        let detail: Vec<String> = line.detail.iter().map(|(field, value)| told_of(field, value)).collect();
        table.add_row([
            &line.at,
            &line.service,
            &line.operator,
            &line.action,
            &line.object,
            &detail.join(", "),
            line.trace_id.as_deref().unwrap_or("–"),
        ]);
    }
    table
}

/// `name Mug → Cup` of what has changed, `quantity 5` of anything else.
fn told_of(field: &str, value: &Value) -> String {
    match (value.get("before"), value.get("after")) {
        (Some(before), Some(after)) => format!("{field} {} → {}", plain(before), plain(after)),
        _ => format!("{field} {}", plain(value)),
    }
}

/// A value as people write it.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => text.clone(),
        Value::Object(money) => match (money.get("amount_minor"), money.get("currency")) {
            (Some(amount), Some(currency)) => format!("{amount} {}", plain(currency)),
            _ => value.to_string(),
        },
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: i64, at: &str) -> Value {
        json!({"id": id, "at": at, "operator": "ops", "action": "redrive", "object": format!("dead-letter/{id}"), "detail": {},
            "trace_id": null})
    }

    #[test]
    fn the_newest_of_all_services_comes_first() {
        let early = "2026-11-21T09:00:00.000001Z";
        let late = "2026-11-21T09:00:00.000002Z";
        let mut told = Told {
            by_service: vec![
                ("order".to_owned(), vec![entry(9, late), entry(8, early)]),
                ("shipping".to_owned(), vec![entry(2, early), entry(1, early)]),
            ],
            silent: Vec::new(),
        };
        let lines = merged(&mut told).expect("they are entries");
        let told: Vec<(&str, &str)> = lines.iter().map(|line| (line.service.as_str(), line.object.as_str())).collect();
        let wanted = [
            ("order", "dead-letter/9"),
            ("order", "dead-letter/8"),
            ("shipping", "dead-letter/2"),
            ("shipping", "dead-letter/1"),
        ];
        assert_eq!(told, wanted);
    }

    #[test]
    fn what_has_changed_is_told_as_people_write_it() {
        let price = |minor: i64| json!({"amount_minor": minor, "currency": "EUR"});
        let told = told_of("price", &json!({"before": price(1_250), "after": price(1_500)}));
        assert_eq!(told, "price 1250 EUR → 1500 EUR");
        assert_eq!(told_of("name", &json!({"before": null, "after": "Mug"})), "name – → Mug");
        assert_eq!(told_of("quantity", &json!(5)), "quantity 5");
    }

    #[test]
    fn the_question_names_what_is_wanted() {
        let options = |since: Option<&str>, operator: Option<&str>| OperatorLogOptions {
            since: since.map(|it| it.parse().expect("a time")),
            operator: operator.map(str::to_owned),
            limit: 100,
        };
        assert_eq!(path(&options(None, None)), "/operator-log");
        let both = path(&options(Some("2026-11-21T09:00:00Z"), Some("command line")));
        assert_eq!(both, "/operator-log?since=2026-11-21T09%3A00%3A00Z&operator=command+line");
    }
}
