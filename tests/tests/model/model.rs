//! The model: what customers asked for and what they were told. From it follows what may become of an order; stock and money
//! then follow from the orders alone.

use anyhow::{Result, bail, ensure};
use contracts::{
    ids::AccountId,
    order::v1::{
        CancelOrderResponse, PlaceOrdersResponse, cancel_order_response::Outcome as Cancel,
        place_orders_response::Outcome as Placed,
    },
};

use crate::{
    books::{Books, OrderRow},
    story::{Card, GHOST, PRODUCTS, Wish},
};

/// An order, as its customer knows it.
#[derive(Debug)]
pub struct Asked {
    /// Its Idempotency-Key.
    pub key: String,
    wish: Wish,
    /// The answer for ever, once there was one.
    told: Option<Placed>,
    /// Whether he asked to cancel it.
    pub wants_cancel: bool,
    /// What each of his two requests to cancel was told for ever, once it was.
    cancel_told: [Option<Cancel>; 2],
    /// Whether its time was over before it was decided, as far as the story goes.
    pub time_is_over: bool,
}

/// All that customers know.
#[derive(Debug)]
pub struct Model {
    pub customer: AccountId,
    pub orders: Vec<Asked>,
    /// Pieces of each product at first.
    pub pieces: Vec<i64>,
}

impl Asked {
    pub fn new(key: String, wish: Wish) -> Self {
        Self { key, wish, told: None, wants_cancel: false, cancel_told: [None, None], time_is_over: false }
    }

    /// What is asked for: the first time, or with another body.
    pub fn body(&self, other: bool) -> Wish {
        let mut wish = self.wish.clone();
        if other {
            wish.lines[0].1 += 1;
        }
        wish
    }

    /// What the order that was made asks for: whichever body came first.
    pub fn made(&self, row: &OrderRow) -> Wish {
        self.body(!is_for(row, &self.wish))
    }

    /// What a request to place it was answered with.
    pub fn hear_placed(&mut self, other: bool, answer: PlaceOrdersResponse, books: &Books) -> Result<()> {
        let outcome = answer.outcome.ok_or_else(|| anyhow::anyhow!("an answer without an outcome"))?;
        let row = books.orders.get(&self.key).ok_or_else(|| anyhow::anyhow!("answered, and there is no order"))?;
        let is_same_body = is_for(row, &self.body(other));
        if let Placed::Refused(problem) = &outcome {
            match problem.code.as_str() {
                "idempotency-key-reused" => {
                    ensure!(!is_same_body, "the key was used for the same body, and refused for another");
                    return Ok(());
                }
                "idempotency-key-in-flight" => {
                    ensure!(is_same_body && self.told.is_none(), "a decided order is told to be in flight");
                    return Ok(());
                }
                _ => {}
            }
        }
        ensure!(is_same_body, "another body got the answer of the first");
        if let Some(told) = &self.told {
            ensure!(*told == outcome, "told {told:?} before, and now {outcome:?}");
            return Ok(());
        }
        match &outcome {
            Placed::Placed(order) => {
                ensure!(!self.wish.by_letter, "an order by letter is told to be completed");
                ensure!(was_completed(row), "told to be completed, and is {}", row.saga_state);
                ensure!(order.total.as_ref().map(|total| total.amount_minor) == row.total_minor, "told another total");
            }
            Placed::Refused(problem) => {
                let reason = reason(&problem.code);
                ensure!(reason.is_some() && reason == row.reason.as_deref(), "refused: {problem:?}, and it is {row:?}");
                ensure!(["REJECTED", "CANCELLED"].contains(&row.saga_state.as_str()), "refused, and undecided");
            }
            // by telephone only how it stands; by letter for ever
            Placed::Accepted(_) if !self.wish.by_letter => return Ok(()),
            Placed::Accepted(_) => {}
        }
        self.told = Some(outcome);
        Ok(())
    }

    /// What a request to cancel it was answered with.
    pub fn hear_cancelled(&mut self, key: usize, answer: CancelOrderResponse, books: &Books) -> Result<()> {
        let outcome = answer.outcome.ok_or_else(|| anyhow::anyhow!("an answer without an outcome"))?;
        let row = &books.orders[&self.key];
        let parcel = books.parcels.get(&row.order_id).map_or("", |parcel| parcel.status.as_str());
        let state = row.saga_state.as_str();
        match &outcome {
            Cancel::Cancelled(_) => ensure!(is_cancelled(state), "told to be cancelled, and is {state}"),
            Cancel::Cancelling(_) => return Ok(()),
            Cancel::Refused(problem) => match problem.code.as_str() {
                "already-dispatched" => {
                    ensure!(["DISPATCHED", "DELIVERED"].contains(&parcel), "its parcel is {parcel}");
                }
                "not-cancellable" => {
                    let is_given_up = ["VOIDING", "RELEASING", "REJECTED"].contains(&state);
                    ensure!(
                        is_given_up && row.reason.as_deref() != Some("CUSTOMER_REQUEST"),
                        "not cancellable: {state}"
                    );
                }
                "idempotency-key-in-flight" => return Ok(()),
                code => bail!("a cancel is refused: {code}"),
            },
        }
        let told = self.cancel_told[key].get_or_insert_with(|| outcome.clone());
        ensure!(*told == outcome, "this cancel was told {told:?} before, and now {outcome:?}");
        Ok(())
    }

    /// How the order may have ended, when nothing is left to do: state and reason.
    pub fn ends(&self, row: &OrderRow, books: &Books) -> Vec<(&'static str, Option<&'static str>)> {
        let wish = self.made(row);
        let reservation = books.reservations.get(&row.order_id);
        let mut ends = Vec::new();
        if wish.lines.iter().any(|(sku, _)| *sku == GHOST) {
            ends.push(("REJECTED", Some("UNKNOWN_SKU")));
        } else if has_two_currencies(&wish) {
            ends.push(("REJECTED", Some("MIXED_CURRENCIES")));
        } else if reservation.is_some_and(|it| it.state == "REFUSED") {
            // that there was too little is a rule of each step
            ends.push(("REJECTED", Some("OUT_OF_STOCK")));
        } else {
            match wish.card {
                Card::Good | Card::NoFirstReply | Card::Flaky => ends.push(("COMPLETED", None)),
                Card::Declined => ends.push(("REJECTED", Some("PAYMENT_DECLINED"))),
                Card::Unknown => ends.push(("REJECTED", Some("UNKNOWN_CARD"))),
                Card::NeverReplies => {}
            }
        }
        if self.time_is_over {
            ends.push(("REJECTED", Some("EXPIRED")));
        }
        if self.wants_cancel {
            ends.push(("CANCELLED", Some("CUSTOMER_REQUEST")));
            ends.push(("REFUNDED", Some("CUSTOMER_REQUEST")));
        }
        // what was promised narrows it down
        match &self.told {
            Some(Placed::Placed(_)) => ends.retain(|(state, _)| ["COMPLETED", "REFUNDED"].contains(state)),
            Some(Placed::Refused(problem)) => ends.retain(|(_, reason)| *reason == self::reason(&problem.code)),
            Some(Placed::Accepted(_)) | None => {}
        }
        for told in self.cancel_told.iter().flatten() {
            match told {
                Cancel::Cancelled(_) => ends.retain(|(state, _)| is_cancelled(state)),
                Cancel::Refused(problem) if problem.code == "already-dispatched" => {
                    ends.retain(|(state, _)| *state == "COMPLETED");
                }
                Cancel::Refused(_) => ends.retain(|(state, _)| *state == "REJECTED"),
                Cancel::Cancelling(_) => {}
            }
        }
        ends
    }
}

/// What a wish costs, in minor units.
pub fn total(wish: &Wish) -> i64 {
    let price = |sku: &str| PRODUCTS.iter().find(|(known, ..)| *known == sku).map_or(0, |(_, price, _)| *price);
    wish.lines.iter().map(|(sku, pieces)| price(sku) * i64::from(*pieces)).sum()
}

fn has_two_currencies(wish: &Wish) -> bool {
    let currencies = wish.lines.iter().filter_map(|(sku, _)| PRODUCTS.iter().find(|(known, ..)| known == sku));
    let mut currencies = currencies.map(|(.., currency)| currency);
    let first = currencies.next();
    currencies.any(|currency| Some(currency) != first)
}

fn is_for(row: &OrderRow, wish: &Wish) -> bool {
    let lines = row.lines.iter().map(|line| (line.sku.as_str(), line.quantity));
    lines.eq(wish.lines.iter().map(|(sku, pieces)| (*sku, i64::from(*pieces))))
}

/// Whether the order was completed, whatever happened to it then.
pub fn was_completed(row: &OrderRow) -> bool {
    ["COMPLETED", "STOPPING", "REFUNDING", "REFUNDED"].contains(&row.saga_state.as_str())
}

fn is_cancelled(state: &str) -> bool {
    ["CANCELLED", "REFUNDED"].contains(&state)
}

/// The reason that a code tells.
fn reason(code: &str) -> Option<&'static str> {
    Some(match code {
        "out-of-stock" => "OUT_OF_STOCK",
        "unknown-sku" => "UNKNOWN_SKU",
        "mixed-currencies" => "MIXED_CURRENCIES",
        "payment-declined" => "PAYMENT_DECLINED",
        "unknown-card" => "UNKNOWN_CARD",
        "order-expired" => "EXPIRED",
        "order-cancelled" => "CUSTOMER_REQUEST",
        _ => return None,
    })
}
