//! `POST /v1/orders`: the only route whose answer is decided elsewhere, and kept there to be told again.

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    http::{HeaderName, StatusCode, header::LOCATION},
    response::{AppendHeaders, IntoResponse, Response},
};
use contracts::{
    ids::{OrderId, Quantity, Sku},
    order::v1::{
        Order, OrderLine, PlaceOrder, PlaceOrdersRequest, PlaceOrdersResponse, place_orders_response::Outcome,
    },
    problem::ProblemCode,
};
use tokio::time::Instant;
use tonic::Status;
use tracing::warn;

use crate::{
    Gateway,
    body::Body,
    caller::Customer,
    fields::{Fields, FromFields, Noted, Value},
    idempotency_key::IdempotencyKey,
    order_json::OrderJson,
    problem::Problem,
};

/// When the client has its answer at the latest, counted from the last byte of its request.
const DEADLINE: Duration = Duration::from_secs(5);

/// How much sooner order answers, so that its answer is here in time.
const MARGIN: Duration = Duration::from_millis(200);

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
    fn from_fields(fields: &mut Fields<'_>) -> Result<Self, Noted> {
        let lines = fields.required("lines", |value| lines(&value));
        let card_token = fields.required("payment", |value| {
            value.object(|fields| fields.required("card_token", |value| card_token(&value)))
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

fn card_token(value: &Value<'_>) -> Result<String, Noted> {
    let token = value.text(1..=CARD_TOKEN_LENGTH_MAX)?;
    let printable = token.bytes().all(|byte| byte.is_ascii_graphic());
    if printable { Ok(token) } else { value.wrong("must be printable ASCII without spaces") }
}

/// `POST /v1/orders`
pub async fn place_order(
    State(gateway): State<Arc<Gateway>>,
    Customer(customer_id): Customer,
    IdempotencyKey(idempotency_key): IdempotencyKey,
    body: Body<OrderFields>,
) -> Result<Response, Problem> {
    let deadline = body.arrived_at + DEADLINE;
    let order = PlaceOrder {
        order_id: OrderId::new().to_string(),
        customer_id: customer_id.to_string(),
        idempotency_key,
        lines: body.value.lines,
        card_token: body.value.card_token,
        budget_ms: 0,
    };
    let answer = rpc::ask_one(left_until(deadline), order, |request| {
        // a second try has less time than the first
        let request = request.map(|mut order| {
            order.budget_ms = order_budget_ms(deadline);
            PlaceOrdersRequest { items: vec![order] }
        });
        let mut orders = gateway.orders.clone();
        async move { orders.place_orders(request).await }
    });
    let PlaceOrdersResponse { requested_order_id: _, replayed: again, outcome } = answer.await.map_err(no_answer)?;
    let answer = match outcome {
        Some(Outcome::Placed(order)) => answer_with(StatusCode::CREATED, order),
        Some(Outcome::Accepted(order)) => answer_with(StatusCode::ACCEPTED, order),
        Some(Outcome::Refused(problem)) => Problem::from(problem).into_response(),
        None => same_key().into_response(),
    };
    Ok((replayed(again), answer).into_response())
}

fn left_until(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

fn order_budget_ms(deadline: Instant) -> u32 {
    u32::try_from(left_until(deadline).saturating_sub(MARGIN).as_millis()).expect("less than 5 s")
}

fn answer_with(status: StatusCode, order: Order) -> Response {
    let location = format!("/v1/orders/{}", order.order_id);
    (status, [(LOCATION, location)], Json(OrderJson::from(order))).into_response()
}

/// Marks an answer that was decided by an earlier request with the same key.
pub fn replayed(again: bool) -> AppendHeaders<Option<(HeaderName, &'static str)>> {
    AppendHeaders(again.then_some((HeaderName::from_static("idempotent-replayed"), "true")))
}

/// What order could not be asked, or did not say, may still have happened: the client must come again with its key.
fn no_answer(status: Status) -> Problem {
    match rpc::problem_of(&status) {
        ProblemCode::Unavailable | ProblemCode::DeadlineExceeded | ProblemCode::Internal => {
            warn!(%status, "order gave no answer");
            same_key()
        }
        _ => status.into(),
    }
}

fn same_key() -> Problem {
    let detail = "nobody knows yet whether the order was taken; send the same request with the same key again";
    Problem::new(ProblemCode::Unavailable, detail)
}
