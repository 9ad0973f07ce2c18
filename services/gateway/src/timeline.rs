//! The route of all that was told about an order.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::{Json, extract::State};
use contracts::{analytics::v1::GetTimelineRequest, ids::OrderId};
use tracing::error;

use crate::{
    ASK_DEADLINE, Gateway, body::Query, caller::Viewer, fields::Nothing, openapi, orders, page::ListJson, path::Named,
    problem::Problem, timeline_json::TimelineJson,
};

/// What is said of [`timeline`].
pub fn timeline_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    let operation = openapi::named(operation, "getTimeline", "followers", "All that was told about an order");
    openapi::answers::<200, ListJson<TimelineJson>>(operation, "Every letter, the oldest first.")
}

/// `GET /v1/orders/{id}/timeline`
pub async fn timeline(
    State(gateway): State<Arc<Gateway>>,
    viewer: Viewer,
    Named(id): Named<OrderId>,
    _: Query<Nothing>,
) -> Result<Json<ListJson<TimelineJson>>, Problem> {
    // analytics knows letters, not who may read them: whether there is such an order for this viewer, order decides
    orders::find(&gateway, id, viewer).await?;
    let answer = rpc::ask(ASK_DEADLINE, GetTimelineRequest { order_id: id.to_string() }, |request| {
        let mut analytics = gateway.analytics.clone();
        async move { analytics.get_timeline(request).await }
    });
    let entries: Result<Vec<_>, _> = answer.await?.items.into_iter().map(TimelineJson::try_from).collect();
    match entries {
        Ok(items) => Ok(Json(ListJson { items })),
        Err(error) => {
            error!(order.id = %id, %error, "analytics told data that is no JSON");
            Err(Problem::internal())
        }
    }
}
