//! The route that sends a parcel on its way.

use std::sync::Arc;

use axum::{Json, extract::State};
use contracts::{ids::OrderId, order::v1::GetOrderRequest, problem::ProblemCode, shipping::v1::DispatchRequest};

use crate::{
    ASK_DEADLINE, Gateway,
    body::Query,
    caller::{Operator, Viewer},
    fields::Nothing,
    path::Named,
    problem::Problem,
    shipment_json::ShipmentJson,
};

/// `POST /v1/orders/{id}/dispatch`
pub async fn dispatch(
    State(gateway): State<Arc<Gateway>>,
    _: Operator,
    Named(id): Named<OrderId>,
    _: Query<Nothing>,
) -> Result<Json<ShipmentJson>, Problem> {
    // repeated without a key: a parcel leaves once, and the answer stays the same
    let answer = rpc::ask(ASK_DEADLINE, DispatchRequest { order_id: id.to_string() }, |request| {
        let mut shipping = gateway.shipping.clone();
        async move { shipping.dispatch(request).await }
    });
    match answer.await.map_err(Problem::from) {
        Ok(answer) => Ok(Json(answer.shipment.unwrap_or_default().into())),
        Err(problem) if problem.code() == ProblemCode::NotFound => Err(no_shipment(&gateway, id).await),
        Err(problem) => Err(problem),
    }
}

/// Shipping knows orders by their letters only: one that it does not know may be on its way, or not exist.
async fn no_shipment(gateway: &Gateway, id: OrderId) -> Problem {
    let request = GetOrderRequest { order_id: id.to_string(), viewer: Some(Viewer::Operator.into()) };
    let answer = rpc::ask(ASK_DEADLINE, request, |request| {
        let mut orders = gateway.orders.clone();
        async move { orders.get_order(request).await }
    });
    match answer.await {
        Ok(_) => Problem::new(ProblemCode::NotDispatchable, "the order has no shipment (yet)"),
        Err(status) => status.into(),
    }
}
