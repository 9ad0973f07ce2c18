//! Orders that have waited too long, and what an operator can do about one.

use comfy_table::{Table, presets};
use contracts::ids::OrderId;
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::{Common, SagasCommand, StuckOptions};
use crate::data::DataFolder;
use crate::failure::Failure;
use crate::operators::Operator;
use crate::state::ServiceAddress;

/// Who owns the saga of an order.
const OWNER: &str = "order";

/// Runs `postbox sagas`.
pub async fn run(common: &Common, command: &SagasCommand) -> Result<(), Failure> {
    let SagasCommand::Stuck(options) = command;
    let state = DataFolder::find(common)?.running()?;
    let operator = Operator::of(&state);
    let owner = state.service(OWNER)?;
    match (&options.retry, &options.void) {
        (Some(order), _) => act(&operator, owner, common.json, order, "retry").await,
        (None, Some(order)) => act(&operator, owner, common.json, order, "void").await,
        (None, None) => list(&operator, owner, common.json, options).await,
    }
}

async fn list(operator: &Operator, owner: &ServiceAddress, json: bool, options: &StuckOptions) -> Result<(), Failure> {
    let path = format!("/sagas/stuck?longer_than_seconds={}", options.longer_than.as_secs());
    let orders = operator.list(owner, &path).await?.ok_or_else(too_old)?;
    if json {
        println!("{}", json!({ "items": orders }));
    } else if orders.is_empty() {
        println!("no order has waited longer than {} s", options.longer_than.as_secs());
    } else {
        println!("{}", table(&orders));
    }
    Ok(())
}

async fn act(
    operator: &Operator,
    owner: &ServiceAddress,
    json: bool,
    order: &str,
    action: &str,
) -> Result<(), Failure> {
    let order: OrderId =
        order.parse().map_err(|_| Failure::found(format!("there is no order {order}: that is no id")))?;
    let done = operator.ask(owner, Method::POST, &format!("/sagas/{order}/{action}")).await?.ok_or_else(too_old)?;
    if json {
        println!("{done}");
    } else {
        println!("{order} is {} and is taken up now: {}", text(&done["state"]), text(&done["waits_for"]));
    }
    Ok(())
}

fn too_old() -> Failure {
    Failure::usage(format!("the running {OWNER} cannot tell: it is older than this command"))
}

fn table(orders: &[Value]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["order", "state", "by", "waits", "tries", "for", "last error"]);
    for order in orders {
        table.add_row([
            text(&order["order_id"]),
            text(&order["state"]),
            text(&order["placed_by"]),
            &format!("{} s", order["waiting_seconds"]),
            &order["attempts"].to_string(),
            text(&order["waits_for"]),
            text(&order["last_error"]),
        ]);
    }
    table
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("–")
}
