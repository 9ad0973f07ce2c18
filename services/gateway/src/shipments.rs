//! The route that sends a parcel on its way.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::{Json, extract::State};
use contracts::{
    ids::{AccountId, OrderId},
    problem::ProblemCode,
    shipping::v1::DispatchRequest,
};

use crate::{
    ASK_DEADLINE, Gateway,
    body::Body,
    caller::{Operator, Viewer},
    fields::Nothing,
    openapi, orders,
    path::Named,
    problem::Problem,
    shipment_json::ShipmentJson,
};

/// What is said of [`dispatch`].
pub fn dispatch_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    let operation = openapi::named(operation, "dispatchOrder", "followers", "Send a parcel on its way");
    let mut operation = openapi::answers::<200, ShipmentJson>(operation, "The shipment, DISPATCHED.");
    openapi::may_end_in(operation.inner_mut(), &[ProblemCode::NotDispatchable]);
    operation
}

/// `POST /v1/orders/{id}/dispatch`
pub async fn dispatch(
    State(gateway): State<Arc<Gateway>>,
    Operator(operator): Operator,
    Named(id): Named<OrderId>,
    _: Body<Nothing>,
) -> Result<Json<ShipmentJson>, Problem> {
    let request = DispatchRequest { order_id: id.to_string(), operator_id: operator.to_string() };
    // repeated without a key: a parcel leaves once, and the answer stays the same
    let answer = rpc::ask(ASK_DEADLINE, request, |request| {
        let mut shipping = gateway.shipping.clone();
        async move { shipping.dispatch(request).await }
    });
    match answer.await.map_err(Problem::from) {
        Ok(answer) => Ok(Json(answer.shipment.unwrap_or_default().into())),
        Err(problem) if problem.code() == ProblemCode::NotFound => Err(no_shipment(&gateway, id, operator).await),
        Err(problem) => Err(problem),
    }
}

/// Shipping knows orders by their letters only: one that it does not know may be on its way, or not exist.
async fn no_shipment(gateway: &Gateway, id: OrderId, operator: AccountId) -> Problem {
    match orders::find(gateway, id, Viewer::Operator(operator)).await {
        Ok(_) => Problem::new(ProblemCode::NotDispatchable, "the order has no shipment (yet)"),
        Err(status) => status.into(),
    }
}
