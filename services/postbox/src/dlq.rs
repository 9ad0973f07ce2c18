//! Dead letters: those that a group could not handle, each of which holds back the later letters of its key until somebody
//! decides.

use comfy_table::{Table, presets};
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::{Common, DlqCommand};
use crate::data::DataFolder;
use crate::failure::Failure;
use crate::operators::Operator;

/// The most characters of an error in a table.
const ERROR_CHARS_MAX: usize = 80;

/// Runs `postbox dlq`.
pub async fn run(common: &Common, command: &DlqCommand) -> Result<(), Failure> {
    let operator = Operator::of(&DataFolder::find(common)?.running()?);
    match command {
        DlqCommand::List => list(&operator, common.json).await,
        DlqCommand::Show { id } => {
            let letter = of_one(&operator, id, Method::GET, "").await?;
            show(&letter, common.json);
            Ok(())
        }
        DlqCommand::Redrive { id } => {
            let letter = of_one(&operator, id, Method::POST, "/redrive").await?;
            let (group, behind) = (text(&letter["group"]), &letter["waiting_behind"]);
            told(
                &letter,
                common.json,
                &format!(
                    "{id} is given to {group} again; {behind} behind it follow when it is done. `postbox dlq show {id}` tells while it is not"
                ),
            );
            Ok(())
        }
        DlqCommand::Discard { id } => {
            let letter = of_one(&operator, id, Method::POST, "/discard").await?;
            let (group, behind) = (text(&letter["group"]), &letter["waiting_behind"]);
            told(
                &letter,
                common.json,
                &format!("{id} is dropped, {group} will never see it; {behind} behind it go on"),
            );
            Ok(())
        }
    }
}

async fn list(operator: &Operator, json: bool) -> Result<(), Failure> {
    let mut dead = operator.list_all("/dead-letters").await;
    let letters: Vec<Value> = std::mem::take(&mut dead.by_service)
        .into_iter()
        .flat_map(|(service, letters)| letters.into_iter().map(move |letter| with_id_of(&service, letter)))
        .collect();
    if json {
        println!("{}", json!({ "items": letters }));
    } else if letters.is_empty() && dead.silent.is_empty() {
        println!("no letter is dead");
    } else {
        println!("{}", table(&letters));
    }
    dead.verdict()
}

/// Asks the service that a letter's id names.
async fn of_one(operator: &Operator, id: &str, method: Method, what: &str) -> Result<Value, Failure> {
    let unknown = |why: &str| Failure::found(format!("there is no dead letter {id}: {why}"));
    let parts = id.rsplit_once('-').and_then(|(service, row)| Some((service, row.parse::<i64>().ok()?)));
    let (service, row) = parts.ok_or_else(|| unknown("ids look like shipping-12, as `postbox dlq list` has them"))?;
    let service = operator.service(service).ok_or_else(|| unknown("the platform has no such service"))?;
    let letter = operator.ask(service, method, &format!("/dead-letters/{row}{what}")).await?;
    let letter = letter.ok_or_else(|| unknown("this service reads no letters"))?;
    Ok(with_id_of(&service.name, letter))
}

/// The letter, with an id that is one of a kind in the platform.
fn with_id_of(service: &str, mut letter: Value) -> Value {
    letter["id"] = json!(format!("{service}-{}", letter["id"]));
    letter
}

fn table(letters: &[Value]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["id", "group", "topic", "partition", "offset", "key", "tries", "behind", "error"]);
    for letter in letters {
        let error: String = text(&letter["error"]).chars().take(ERROR_CHARS_MAX).collect();
        table.add_row([
            text(&letter["id"]),
            text(&letter["group"]),
            text(&letter["topic"]),
            &letter["partition"].to_string(),
            &letter["offset"].to_string(),
            text(&letter["key"]),
            &letter["retry_count"].to_string(),
            &letter["waiting_behind"].to_string(),
            &error,
        ]);
    }
    table
}

fn show(letter: &Value, json: bool) {
    if json {
        println!("{letter}");
        return;
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let fields =
        ["id", "state", "group", "topic", "partition", "offset", "key", "error", "retry_count", "waiting_behind"];
    for field in fields.into_iter().chain(["parked_at", "trace_id", "payload"]) {
        table.add_row([field, &plain(&letter[field])]);
    }
    for header in letter["headers"].as_array().into_iter().flatten() {
        table.add_row([&format!("header {}", text(&header["name"])), &plain(&header["value"])]);
    }
    println!("{table}");
}

fn told(letter: &Value, json: bool, said: &str) {
    if json {
        println!("{letter}");
    } else {
        println!("{said}");
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("–")
}

/// A value as people write it: text without quotes, nothing as a dash.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
