//! `POST /v1/orders/{id}/cancel`: order decides, and keeps its answer to tell it again.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use contracts::{
    ids::OrderId,
    order::v1::{CancelOrderRequest, CancelOrderResponse, cancel_order_response::Outcome},
    problem::ProblemCode,
};

use crate::{
    Gateway,
    body::Body,
    caller::Viewer,
    fields::Nothing,
    idempotency_key::{IdempotencyKey, replayed},
    openapi,
    order_answer::{Deadline, answer_with, no_answer, same_key},
    order_json::OrderJson,
    path::Named,
    problem::Problem,
};

/// What may have happened when order gave no answer.
const MAY_BE_CANCELLED: &str = "the order was cancelled";

/// What is said of [`cancel_order`].
pub fn cancel_order_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    let operation = openapi::named(operation, "cancelOrder", "orders", "Cancel an order");
    let operation = openapi::answers::<200, OrderJson>(operation, "It is cancelled, and was refunded if it was paid.");
    let mut operation =
        openapi::answers::<202, OrderJson>(operation, "It is being cancelled; the refund is under way.");
    let codes = [ProblemCode::AlreadyDispatched, ProblemCode::NotCancellable];
    openapi::may_end_in(operation.inner_mut(), &codes);
    operation
}

/// `POST /v1/orders/{id}/cancel`
pub async fn cancel_order(
    State(gateway): State<Arc<Gateway>>,
    viewer: Viewer,
    Named(id): Named<OrderId>,
    IdempotencyKey(idempotency_key): IdempotencyKey,
    body: Body<Nothing>,
) -> Result<Response, Problem> {
    let deadline = Deadline::of(body.arrived_at);
    let cancel =
        CancelOrderRequest { order_id: id.to_string(), viewer: Some(viewer.into()), idempotency_key, budget_ms: 0 };
    // once: a second try of ours would be told that the first is in flight
    let answer = rpc::ask_once(deadline.left(), cancel, |request| {
        let request = request.map(|cancel| CancelOrderRequest { budget_ms: deadline.budget_ms(), ..cancel });
        let mut orders = gateway.orders.clone();
        async move { orders.cancel_order(request).await }
    });
    let answer = answer.await.map_err(|status| no_answer(status, MAY_BE_CANCELLED))?;
    let CancelOrderResponse { replayed: again, outcome } = answer;
    let answer = match outcome {
        Some(Outcome::Cancelled(order)) => Json(OrderJson::from(order)).into_response(),
        Some(Outcome::Cancelling(order)) => answer_with(StatusCode::ACCEPTED, order),
        Some(Outcome::Refused(problem)) => Problem::from(problem).into_response(),
        None => same_key(MAY_BE_CANCELLED).into_response(),
    };
    Ok((replayed(again), answer).into_response())
}
