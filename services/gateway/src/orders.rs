//! The routes that look at orders.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::{Json, extract::State, http::HeaderMap, response::Response};
use contracts::{
    ids::{AccountId, OrderId},
    order::v1::{GetOrderRequest, ListOrdersRequest, Order, OrderStatus},
};

use tonic::Status;

use crate::{
    ASK_DEADLINE, Gateway,
    body::Query,
    caller::Viewer,
    fields::{FieldError, Fields, FromFields, Noted, Nothing},
    openapi,
    order_json::OrderJson,
    page::{Page, PageJson},
    path::Named,
    problem::Problem,
    revision,
};

/// `?limit&cursor&status&customer_id`
#[derive(Debug)]
pub struct OrdersQuery {
    page: Page,
    status: OrderStatus,
    customer_id: Option<AccountId>,
}

impl FromFields for OrdersQuery {
    fn from_fields(fields: &mut Fields<'_>) -> Result<Self, Noted> {
        let page = Page::from_fields(fields);
        let status = fields.optional("status", |value| value.word(&STATUSES));
        let customer_id = fields.optional("customer_id", |value| value.parsed());
        Ok(Self { page: page?, status: status?.unwrap_or(OrderStatus::Unspecified), customer_id: customer_id? })
    }
}

/// As the order tells it.
const STATUSES: [(&str, OrderStatus); 5] = [
    ("PENDING", OrderStatus::Pending),
    ("COMPLETED", OrderStatus::Completed),
    ("REJECTED", OrderStatus::Rejected),
    ("CANCELLING", OrderStatus::Cancelling),
    ("CANCELLED", OrderStatus::Cancelled),
];

/// The order; NOT_FOUND when there is none that this viewer may see.
pub async fn find(gateway: &Gateway, id: OrderId, viewer: Viewer) -> Result<Order, Status> {
    let request = GetOrderRequest { order_id: id.to_string(), viewer: Some(viewer.into()) };
    let answer = rpc::ask(ASK_DEADLINE, request, |request| {
        let mut orders = gateway.orders.clone();
        async move { orders.get_order(request).await }
    });
    Ok(answer.await?.order.unwrap_or_default())
}

/// What is said of [`get`].
pub fn get_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    let operation = openapi::named(operation, "getOrder", "orders", "Look at an order");
    revision::described(openapi::answers::<200, OrderJson>(operation, "The order."))
}

/// `GET /v1/orders/{id}`
pub async fn get(
    State(gateway): State<Arc<Gateway>>,
    viewer: Viewer,
    Named(id): Named<OrderId>,
    _: Query<Nothing>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let order = find(&gateway, id, viewer).await?;
    Ok(revision::of_version(&headers, order.version, &OrderJson::from(order)))
}

/// What is said of [`list`].
pub fn list_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    let operation = openapi::named(operation, "listOrders", "orders", "Orders, newest first");
    openapi::answers::<200, PageJson<OrderJson>>(operation, "A page. `customer_id` is for operators.")
}

/// `GET /v1/orders?limit&cursor&status`, and `customer_id` for operators
pub async fn list(
    State(gateway): State<Arc<Gateway>>,
    viewer: Viewer,
    Query(query): Query<OrdersQuery>,
) -> Result<Json<PageJson<OrderJson>>, Problem> {
    let OrdersQuery { page, status, customer_id } = query;
    if let (Viewer::Customer(_), Some(_)) = (viewer, customer_id) {
        let detail = "is for operators".to_owned();
        return Err(Problem::invalid(vec![FieldError { pointer: "/customer_id".to_owned(), detail }]));
    }
    let request = ListOrdersRequest {
        viewer: Some(viewer.into()),
        status: status.into(),
        customer_id: customer_id.map(|id| id.to_string()).unwrap_or_default(),
        limit: page.limit,
        cursor: page.cursor.clone(),
    };
    let answer = rpc::ask(ASK_DEADLINE, request, |request| {
        let mut orders = gateway.orders.clone();
        async move { orders.list_orders(request).await }
    });
    let answer = answer.await.map_err(|status| page.problem(status))?;
    Ok(Json(PageJson::new(answer.items, answer.next_cursor)))
}
