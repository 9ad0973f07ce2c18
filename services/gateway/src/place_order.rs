//! `POST /v1/orders`: the only route whose answer is decided elsewhere, and kept there to be told again.

use std::{collections::HashMap, sync::Arc};

use aide::transform::TransformOperation;
use axum::{
    extract::State,
    http::{StatusCode, header::LOCATION},
    response::{IntoResponse, Response},
};
use contracts::{
    ids::{OrderId, Quantity, Sku},
    order::v1::{Order, OrderLine, PlaceOrder, PlaceOrdersResponse, PlacedBy, place_orders_response::Outcome},
    problem::ProblemCode,
};

use serde_json::json;

use crate::{
    Gateway,
    body::Body,
    caller::Customer,
    fields::{Fields, FromFields, Noted, Value},
    idempotency_key::{IdempotencyKey, replayed},
    openapi,
    order_answer::{Deadline, answer_with, no_answer, same_key},
    order_json::OrderJson,
    prefer::{self, RespondAsync},
    problem::Problem,
    spelling::CARD_TOKEN,
};

/// What may have happened when order gave no answer.
const MAY_BE_TAKEN: &str = "the order was taken";

/// The most lines of one order.
const LINES_MAX: usize = 100;

/// The longest card token.
const CARD_TOKEN_LENGTH_MAX: usize = 64;

/// The body: `{lines: [{sku, quantity}], payment: {card_token}}`.
#[derive(Debug)]
pub struct OrderFields {
    lines: Vec<OrderLine>,
    card_token: String,
}

impl FromFields for OrderFields {
    fn example() -> Option<serde_json::Value> {
        Some(json!({"lines": [{"sku": "mug", "quantity": 2}], "payment": {"card_token": "tok_visa"}}))
    }

    fn from_fields(fields: &mut Fields<'_>) -> Result<Self, Noted> {
        let lines = fields.required("lines", |value| lines(&value));
        let card_token = fields.required("payment", |value| {
            value.object(|fields| {
                fields.required("card_token", |value| value.spelled(1..=CARD_TOKEN_LENGTH_MAX, &CARD_TOKEN))
            })
        });
        Ok(Self { lines: lines?, card_token: card_token? })
    }
}

fn lines(value: &Value<'_>) -> Result<Vec<OrderLine>, Noted> {
    let mut seen = HashMap::new();
    value.list(1..=LINES_MAX, |index, line| {
        line.object(|fields| {
            let sku = fields.required("sku", |value| {
                let sku: Sku = value.parsed()?;
                match seen.insert(sku.clone(), index) {
                    Some(first) => value.wrong(format!("must not be that of /lines/{first}/sku again")),
                    None => Ok(sku.to_string()),
                }
            });
            let quantity = fields.required("quantity", |value| value.whole_number(1..=i64::from(Quantity::MAX)));
            let quantity = u32::try_from(quantity?).expect("1 to 10,000");
            Ok(OrderLine { sku: sku?, quantity })
        })
    })
}

/// What is said of [`place_order`].
pub fn place_order_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    let operation = openapi::named(operation, "placeOrder", "orders", "Place an order");
    let completed = "The order is completed: its stock is reserved and its card was charged.";
    let operation = openapi::answers::<201, OrderJson>(operation, completed);
    let taken = "The order is taken and not decided yet: watch it. With `Prefer: respond-async`, or when it takes longer than 5 s.";
    let mut operation = openapi::answers::<202, OrderJson>(operation, taken);
    for status in [201, 202] {
        openapi::with_header(operation.inner_mut(), status, &LOCATION, "Where the order is found.");
    }
    openapi::with_header(operation.inner_mut(), 202, &prefer::PREFERENCE_APPLIED, "`respond-async`, when that is why.");
    let codes = [
        ProblemCode::PaymentDeclined,
        ProblemCode::OutOfStock,
        ProblemCode::OrderExpired,
        ProblemCode::OrderCancelled,
        ProblemCode::UnknownSku,
        ProblemCode::UnknownCard,
        ProblemCode::MixedCurrencies,
    ];
    openapi::may_end_in(operation.inner_mut(), &codes);
    operation
}

/// `POST /v1/orders`, by telephone, or by letter with `Prefer: respond-async`
pub async fn place_order(
    State(gateway): State<Arc<Gateway>>,
    Customer(customer_id): Customer,
    IdempotencyKey(idempotency_key): IdempotencyKey,
    RespondAsync(by_letter): RespondAsync,
    body: Body<OrderFields>,
) -> Result<Response, Problem> {
    let deadline = Deadline::of(body.arrived_at);
    let placed_by = if by_letter { PlacedBy::Letter } else { PlacedBy::Telephone };
    let id = OrderId::new().to_string();
    let answer = gateway.placed_orders.ask(deadline.left(), &id, |traceparent| PlaceOrder {
        order_id: id.clone(),
        customer_id: customer_id.to_string(),
        idempotency_key: idempotency_key.clone(),
        lines: body.value.lines.clone(),
        card_token: body.value.card_token.clone(),
        budget_ms: deadline.budget_ms(),
        placed_by: placed_by.into(),
        traceparent,
    });
    let answer = answer.await.map_err(|status| no_answer(status, MAY_BE_TAKEN))?;
    let PlaceOrdersResponse { requested_order_id: _, replayed: again, outcome } = answer;
    let answer = match outcome {
        Some(Outcome::Placed(order)) => answer_with(StatusCode::CREATED, order),
        Some(Outcome::Accepted(order)) => accepted(order),
        Some(Outcome::Refused(problem)) => Problem::from(problem).into_response(),
        None => same_key(MAY_BE_TAKEN).into_response(),
    };
    Ok((replayed(again), answer).into_response())
}

/// The order tells by which door it came: a key that was used before is answered as it was the first time, whatever is
/// preferred now.
fn accepted(order: Order) -> Response {
    let applied = (order.placed_by() == PlacedBy::Letter).then_some(prefer::APPLIED_RESPOND_ASYNC);
    (applied.map(|header| [header]), answer_with(StatusCode::ACCEPTED, order)).into_response()
}
