//! Both doors side by side: how long a customer waits, and what becomes of the orders while payment is stopped.

use std::time::Duration;

use comfy_table::{Table, presets};
use nix::sys::signal::Signal;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{DEADLINE, Trace, check, new_key, text};
use crate::cli::By;
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::identity::Identity;
use crate::state::State;

/// Orders through each door while all is well, in turns.
const ORDERS: usize = 15;

/// A cell of the table: what is shown of a door.
type Cell = fn(&Door) -> String;

/// What was measured of one door.
#[derive(Debug, Default)]
struct Door {
    answered: Vec<Duration>,
    completed: Vec<Duration>,
    answered_without_payment: Duration,
    status_without_payment: String,
    completed_after_payment: Duration,
}

/// Orders through both doors, then again while payment is stopped, and prints the table; gives it as JSON.
pub async fn both_doors(state: &State, gateway: &Gateway, trace: &Trace) -> Result<Value, Failure> {
    trace.scene("Side by side: telephone and letter, first with payment, then with payment stopped");
    let (mut telephone, mut letter) = (Door::default(), Door::default());
    for _ in 0..ORDERS {
        telephone.order(By::Telephone, gateway).await?;
        letter.order(By::Letter, gateway).await?;
    }

    let missing = || Failure::found("payment does not run where it can be stopped for a while");
    let payment = state.processes.get("payment").ok_or_else(missing)?;
    let stopped = Stopped::stop(payment.clone());
    let telephone_id = telephone.order_without_payment(By::Telephone, gateway).await?;
    let letter_id = letter.order_without_payment(By::Letter, gateway).await?;
    let back = Instant::now();
    drop(stopped);
    letter.completed_after_payment = completed_after(gateway, &letter_id, back).await?;
    telephone.completed_after_payment = completed_after(gateway, &telephone_id, back).await?;

    let rows: [(&str, Cell); 5] = [
        ("the customer is answered after", |door| milliseconds(median(&door.answered))),
        ("the order is completed after", |door| milliseconds(median(&door.completed))),
        ("payment stopped: answered after", |door| milliseconds(door.answered_without_payment)),
        ("payment stopped: answered with", |door| door.status_without_payment.clone()),
        ("payment is back: completed after", |door| milliseconds(door.completed_after_payment)),
    ];
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_header(["", "telephone", "letter"]);
    for (name, cell) in rows {
        table.add_row([name.to_owned(), cell(&telephone), cell(&letter)]);
    }
    for line in table.to_string().lines() {
        trace.say(line);
    }
    trace.say(&format!(
        "Medians of {ORDERS} orders each, in turns. Nothing was lost: both of the last two are COMPLETED."
    ));
    trace.say(
        "Stopped for more than 30 s, the order by telephone is given up; the one by letter completes all the same.",
    );
    Ok(json!({ "telephone": telephone.to_json(), "letter": letter.to_json() }))
}

impl Door {
    /// One order while all is well.
    async fn order(&mut self, by: By, gateway: &Gateway) -> Result<(), Failure> {
        let began = Instant::now();
        let answer = gateway.place_order(by, &new_key(), "sticker", 1, "tok_visa").await?;
        self.answered.push(began.elapsed());
        let order = answer.expect(match by {
            By::Telephone => StatusCode::CREATED,
            By::Letter => StatusCode::ACCEPTED,
        })?;
        self.completed.push(match by {
            By::Telephone => began.elapsed(),
            By::Letter => completed_after(gateway, &text(&order, "order_id")?, began).await?,
        });
        Ok(())
    }

    /// One order that payment cannot be asked about. Gives its id.
    async fn order_without_payment(&mut self, by: By, gateway: &Gateway) -> Result<String, Failure> {
        let began = Instant::now();
        let answer = gateway.place_order(by, &new_key(), "sticker", 1, "tok_visa").await?;
        self.answered_without_payment = began.elapsed();
        let order = answer.expect(StatusCode::ACCEPTED)?;
        check(order["status"] == "PENDING", || format!("the order is {}, not PENDING", order["status"]))?;
        self.status_without_payment = format!("{}, {}", answer.status.as_u16(), text(&order, "status")?);
        text(&order, "order_id")
    }

    fn to_json(&self) -> Value {
        let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
        json!({
            "answered_ms": ms(median(&self.answered)),
            "completed_ms": ms(median(&self.completed)),
            "payment_stopped": {
                "answered_ms": ms(self.answered_without_payment),
                "completed_after_its_return_ms": ms(self.completed_after_payment),
            },
        })
    }
}

/// How long after `began` the order was completed, by polling every few milliseconds.
async fn completed_after(gateway: &Gateway, id: &str, began: Instant) -> Result<Duration, Failure> {
    let until = Instant::now() + DEADLINE;
    while Instant::now() < until {
        if gateway.order(id).await?["status"] == "COMPLETED" {
            return Ok(began.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Err(Failure::found(format!("order {id} was not completed within {} s", DEADLINE.as_secs())))
}

fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

fn milliseconds(time: Duration) -> String {
    format!("{:.0} ms", time.as_secs_f64() * 1_000.0)
}

/// A process that is stopped (not killed: whoever looks after it would start it again) until this is dropped.
struct Stopped(Identity);

impl Stopped {
    fn stop(process: Identity) -> Self {
        process.signal(Signal::SIGSTOP);
        Self(process)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        self.0.signal(Signal::SIGCONT);
    }
}
