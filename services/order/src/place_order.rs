//! Placing an order: keep it; by telephone carry it on while the customer waits, by letter leave it to the letters; answer.

use std::{collections::HashSet, time::Duration};

use contracts::{
    ids::{AccountId, OrderId, Quantity, Sku},
    order::v1::{PlaceOrder as PlaceOrderMessage, PlacedBy as PlacedByMessage, decided_answer::Answer},
};
use prost::Message;
use service_runtime::telemetry;
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use tracing::warn;

use crate::{
    Deps, answer as answers,
    carry_on::{carry_on_for_caller, hand_over},
    error::OrderError,
    events,
    order::{Line, Order, PlacedBy},
    saga::State,
    store::{self, Kept, KeptByKey, New, Times},
};

/// How long a customer waits for an answer at most. Until then the order belongs to its request, and recovery leaves it
/// alone.
pub const FIRST_DEADLINE: Duration = Duration::from_secs(5);

/// An order by telephone that is not decided by then is unwound.
const DECIDE_WITHIN: Duration = Duration::from_secs(30);

/// Kept back from the caller's budget, so that our answer arrives before the caller gives up.
const ANSWER_MARGIN: Duration = Duration::from_millis(50);

/// The longest card token, as payment and the card network take it.
const CARD_TOKEN_MAX: usize = 64;

/// The most lines of an order.
const LINES_MAX: usize = 100;

/// A request to place an order, every value a right one.
#[derive(Debug, Clone)]
pub struct PlaceOrder {
    /// The id that the order will have.
    pub order_id: OrderId,
    /// Who pays.
    pub customer_id: AccountId,
    /// The customer's name for this request.
    pub idempotency_key: String,
    /// What is ordered; not empty, each SKU once.
    pub lines: Vec<(Sku, Quantity)>,
    /// What the card network knows the card by.
    pub card_token: String,
    /// How long the caller waits.
    pub budget: Duration,
    /// Whether the customer waits for the decision.
    pub placed_by: PlacedBy,
}

/// What the customer is told.
#[derive(Debug, Clone)]
pub struct Placed {
    /// Fixed for ever, or how the order stands now: accepted, and going on by itself.
    pub answer: Answer,
    /// Whether an earlier request made the order.
    pub replayed: bool,
}

/// Places an order, or tells how the one stands that the same key placed before. After the order was kept this does not
/// fail: whatever happens, the order goes on.
pub async fn place_order(deps: &Deps, command: PlaceOrder) -> Result<Placed, OrderError> {
    let until = Instant::now() + command.budget.min(FIRST_DEADLINE).saturating_sub(ANSWER_MARGIN);
    let kept = match keep_new(deps, &command).await {
        Err(error) => return after_a_failed_commit(deps, &command, error).await,
        Ok(kept) => kept,
    };
    let Some(kept) = kept else {
        let earlier = store::find_by_key(&deps.pool, command.customer_id, &command.idempotency_key).await?;
        return replay(&command, earlier.ok_or(OrderError::IdTaken(command.order_id))?);
    };
    match kept.order.placed_by {
        PlacedBy::Telephone => Ok(answer(carry_on_for_caller(deps, kept, until).await, false)),
        // the letter is written: inventory, payment and we go on from it
        PlacedBy::Letter => Ok(answer(kept, false)),
    }
}

/// Commits the order before anybody is called: whoever loses the key calls nobody. `None` when the key or the id has an
/// order.
async fn keep_new(deps: &Deps, command: &PlaceOrder) -> Result<Option<Kept>, OrderError> {
    let now = deps.clock.now();
    let line = |(sku, quantity): &(Sku, Quantity)| Line { sku: sku.clone(), quantity: *quantity, unit_price: None };
    let order = Order {
        id: command.order_id,
        customer_id: command.customer_id,
        state: State::AwaitingStock,
        version: 1,
        placed_by: command.placed_by,
        lines: command.lines.iter().map(line).collect(),
        total: None,
        card_token: Some(command.card_token.clone()),
        shipment: None,
        trace_id: telemetry::trace_id(),
        created_at: now,
        updated_at: now,
    };
    let (answer, times) = match command.placed_by {
        PlacedBy::Telephone => (None, Times { first_attempt: FIRST_DEADLINE, decide: DECIDE_WITHIN }),
        // recovery has nothing to ask before its time is over
        PlacedBy::Letter => {
            let decide = deps.letters_decide_within;
            (Some(answers::accepted(&order)), Times { first_attempt: decide, decide })
        }
    };
    let letter = events::created(&order);
    let idempotency_key = command.idempotency_key.clone();
    let new = New {
        order: order.clone(),
        answer: answer.clone(),
        idempotency_key,
        fingerprint: command.fingerprint(),
        times,
    };
    Ok(deps.writer.insert(new, letter).await?.then_some(Kept { order, answer }))
}

/// The commit failed, or only its reply was lost: then the order is kept and is not to be denied.
async fn after_a_failed_commit(deps: &Deps, command: &PlaceOrder, error: OrderError) -> Result<Placed, OrderError> {
    let earlier = store::find_by_key(&deps.pool, command.customer_id, &command.idempotency_key).await;
    match earlier {
        Ok(Some(earlier)) if earlier.kept.order.id == command.order_id => {
            warn!(order.id = %command.order_id, %error, "the order was kept, only the reply was lost");
            // recovery has nothing to ask for an order by letter
            if earlier.kept.order.placed_by == PlacedBy::Telephone {
                hand_over(deps, command.order_id).await;
            }
            Ok(answer(earlier.kept, false))
        }
        _ => Err(error),
    }
}

/// The answer to a request whose key has an order.
fn replay(command: &PlaceOrder, earlier: KeptByKey) -> Result<Placed, OrderError> {
    let order_id = earlier.kept.order.id;
    if earlier.fingerprint != command.fingerprint() {
        return Err(OrderError::KeyReused(order_id));
    }
    let is_decided = earlier.kept.answer.is_some();
    // the caller's own second try (same id) is no second request: it is told how the order stands
    if !is_decided && earlier.first_deadline_is_ahead && order_id != command.order_id {
        return Err(OrderError::KeyInFlight(order_id));
    }
    Ok(answer(earlier.kept, true))
}

fn answer(kept: Kept, replayed: bool) -> Placed {
    Placed { answer: kept.answer.unwrap_or_else(|| answers::accepted(&kept.order)), replayed }
}

impl PlaceOrder {
    /// A digest of what is asked for, equal for equal requests: of the values, not of their spelling.
    pub fn fingerprint(&self) -> [u8; 32] {
        let message = PlaceOrderMessage {
            lines: self.lines.iter().map(|(sku, quantity)| line_message(sku, *quantity)).collect(),
            card_token: self.card_token.clone(),
            ..PlaceOrderMessage::default()
        };
        Sha256::digest(message.encode_to_vec()).into()
    }
}

/// Refuses what is no Idempotency-Key.
pub fn check_key(key: &str) -> Result<(), OrderError> {
    if (8..=100).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        return Ok(());
    }
    Err(OrderError::invalid("idempotency_key", "a key is 8 to 100 printable ASCII characters"))
}

fn line_message(sku: &Sku, quantity: Quantity) -> contracts::order::v1::OrderLine {
    contracts::order::v1::OrderLine { sku: sku.to_string(), quantity: quantity.get() }
}

impl TryFrom<PlaceOrderMessage> for PlaceOrder {
    type Error = OrderError;

    fn try_from(message: PlaceOrderMessage) -> Result<Self, OrderError> {
        let invalid = |field, error: contracts::ids::InvalidId| OrderError::invalid(field, error.to_string());
        check_key(&message.idempotency_key)?;
        let token_is_right = (1..=CARD_TOKEN_MAX).contains(&message.card_token.len())
            && message.card_token.bytes().all(|byte| byte.is_ascii_graphic());
        if !token_is_right {
            let detail = format!("a card token is 1 to {CARD_TOKEN_MAX} printable ASCII characters without spaces");
            return Err(OrderError::invalid("card_token", detail));
        }
        if !(1..=LINES_MAX).contains(&message.lines.len()) {
            return Err(OrderError::invalid("lines", format!("an order has 1 to {LINES_MAX} lines")));
        }
        let placed_by = match PlacedByMessage::try_from(message.placed_by) {
            Ok(PlacedByMessage::Unspecified | PlacedByMessage::Telephone) => PlacedBy::Telephone,
            Ok(PlacedByMessage::Letter) => PlacedBy::Letter,
            Err(_) => return Err(OrderError::invalid("placed_by", "an order is placed by telephone or by letter")),
        };
        let mut seen = HashSet::new();
        let mut lines = Vec::with_capacity(message.lines.len());
        for line in message.lines {
            let sku = Sku::try_from(line.sku).map_err(|error| invalid("lines.sku", error))?;
            let quantity = Quantity::try_from(line.quantity).map_err(|error| invalid("lines.quantity", error))?;
            if !seen.insert(sku.clone()) {
                return Err(OrderError::invalid("lines.sku", format!("{sku} is in two lines; add them up")));
            }
            lines.push((sku, quantity));
        }
        Ok(Self {
            order_id: message.order_id.parse().map_err(|error| invalid("order_id", error))?,
            customer_id: message.customer_id.parse().map_err(|error| invalid("customer_id", error))?,
            idempotency_key: message.idempotency_key,
            lines,
            card_token: message.card_token,
            budget: Duration::from_millis(u64::from(message.budget_ms)),
            placed_by,
        })
    }
}

#[cfg(test)]
mod tests {
    use contracts::order::v1::OrderLine;

    use super::*;

    fn message() -> PlaceOrderMessage {
        PlaceOrderMessage {
            order_id: OrderId::new().to_string(),
            customer_id: AccountId::new().to_string(),
            idempotency_key: "a-key-of-mine".to_owned(),
            lines: vec![OrderLine { sku: "mug".to_owned(), quantity: 2 }],
            card_token: "tok_visa".to_owned(),
            budget_ms: 5_000,
            placed_by: PlacedByMessage::Telephone.into(),
            traceparent: String::new(),
        }
    }

    #[test]
    fn every_wrong_field_is_refused_by_its_name() {
        let line = |sku: &str, quantity| OrderLine { sku: sku.to_owned(), quantity };
        let mug = message();
        let cases = [
            ("order_id", PlaceOrderMessage { order_id: "1".to_owned(), ..mug.clone() }),
            ("customer_id", PlaceOrderMessage { customer_id: String::new(), ..mug.clone() }),
            ("idempotency_key", PlaceOrderMessage { idempotency_key: "short".to_owned(), ..mug.clone() }),
            ("idempotency_key", PlaceOrderMessage { idempotency_key: "with\nline break".to_owned(), ..mug.clone() }),
            ("card_token", PlaceOrderMessage { card_token: String::new(), ..mug.clone() }),
            ("card_token", PlaceOrderMessage { card_token: "tok visa".to_owned(), ..mug.clone() }),
            ("card_token", PlaceOrderMessage { card_token: "x".repeat(65), ..mug.clone() }),
            ("lines", PlaceOrderMessage { lines: vec![], ..mug.clone() }),
            ("lines.sku", PlaceOrderMessage { lines: vec![line("Mug", 1)], ..mug.clone() }),
            ("lines.sku", PlaceOrderMessage { lines: vec![line("mug", 1), line("mug", 2)], ..mug.clone() }),
            ("lines.quantity", PlaceOrderMessage { lines: vec![line("mug", 0)], ..mug.clone() }),
            ("lines.quantity", PlaceOrderMessage { lines: vec![line("mug", 10_001)], ..mug.clone() }),
            ("placed_by", PlaceOrderMessage { placed_by: 9, ..mug.clone() }),
        ];
        for (wrong, message) in cases {
            match PlaceOrder::try_from(message) {
                Err(OrderError::Invalid { field, .. }) => assert_eq!(field, wrong),
                other => panic!("{wrong} was not refused: {other:?}"),
            }
        }
        assert!(PlaceOrder::try_from(mug).is_ok());
    }

    #[test]
    fn the_fingerprint_is_of_what_is_asked_for_alone() {
        let command = |message: PlaceOrderMessage| PlaceOrder::try_from(message).unwrap();
        let placed_by = PlacedByMessage::Letter.into();
        let same = PlaceOrderMessage { order_id: OrderId::new().to_string(), budget_ms: 1, placed_by, ..message() };
        assert_eq!(command(message()).fingerprint(), command(same).fingerprint());
        let other = PlaceOrderMessage { card_token: "tok_other".to_owned(), ..message() };
        assert_ne!(command(message()).fingerprint(), command(other).fingerprint());
    }
}
