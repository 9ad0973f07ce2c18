//! The route of what customers were told.

use std::sync::Arc;

use aide::transform::TransformOperation;
use axum::{Json, extract::State};
use contracts::notification::v1::ListMessagesRequest;

use crate::{
    ASK_DEADLINE, Gateway,
    body::Query,
    caller::Account,
    message_json::MessageJson,
    openapi,
    page::{Page, PageJson},
    problem::Problem,
};

/// What is said of [`list`].
pub fn list_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    let operation = openapi::named(operation, "listMessages", "followers", "What you were told, newest first");
    openapi::answers::<200, PageJson<MessageJson>>(operation, "A page.")
}

/// `GET /v1/messages?limit&cursor`
pub async fn list(
    State(gateway): State<Arc<Gateway>>,
    Account(id): Account,
    Query(page): Query<Page>,
) -> Result<Json<PageJson<MessageJson>>, Problem> {
    let request = ListMessagesRequest { customer_id: id.to_string(), limit: page.limit, cursor: page.cursor.clone() };
    let answer = rpc::ask(ASK_DEADLINE, request, |request| {
        let mut notification = gateway.notification.clone();
        async move { notification.list_messages(request).await }
    });
    let answer = answer.await.map_err(|status| page.problem(status))?;
    Ok(Json(PageJson::new(answer.items, answer.next_cursor)))
}
