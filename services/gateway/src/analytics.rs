//! The routes of what the letters add up to.

use std::{str::FromStr, sync::Arc};

use aide::transform::TransformOperation;
use axum::{Json, extract::State};
use contracts::{
    analytics::v1::{GetSalesRequest, TopProductsRequest, Window},
    problem::ProblemCode,
    timestamp_to_proto,
};
use jiff::Timestamp;
use serde_json::json;
use tonic::Status;

use crate::{
    ASK_DEADLINE, Gateway,
    body::Query,
    caller::Operator,
    fields::{FieldError, Fields, FromFields, Noted, Value},
    openapi,
    page::{self, ListJson},
    problem::Problem,
    sales_json::{ProductSalesJson, SalesJson},
    spelling::{Spelled, TIME},
};

/// The latest time that is taken: 2200-01-01. Nobody sells later, and far beyond it windows cannot be counted.
const LATEST: Timestamp = Timestamp::constant(7_258_118_400, 0);

/// `?from&to`, times in RFC 3339. Who leaves one out leaves it to analytics.
#[derive(Debug)]
pub struct Span {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

impl FromFields for Span {
    fn from_fields(fields: &mut Fields<'_>) -> Result<Self, Noted> {
        let moment = |value: Value<'_>| value.parsed().map(|Moment(time)| time);
        let from = fields.optional("from", moment);
        let to = fields.optional("to", moment);
        Ok(Self { from: from?, to: to? })
    }
}

/// A time from 1970 to 2200.
struct Moment(Timestamp);

impl FromStr for Moment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let time = text.parse().ok().filter(|time| TIME.is_of(text) && (Timestamp::UNIX_EPOCH..=LATEST).contains(time));
        time.map(Self).ok_or("must be a time from 1970 to 2200, like 2026-11-21T09:00:00Z")
    }
}

impl Spelled for Moment {
    fn schema() -> serde_json::Value {
        json!({"type": "string", "format": "date-time", "pattern": TIME.pattern})
    }
}

/// `?window=1m|1h&from&to`
#[derive(Debug)]
pub struct SalesQuery {
    window: Window,
    span: Span,
}

impl FromFields for SalesQuery {
    fn from_fields(fields: &mut Fields<'_>) -> Result<Self, Noted> {
        let window = fields.optional("window", |value| value.word(&[("1m", Window::Minute), ("1h", Window::Hour)]));
        let span = Span::from_fields(fields);
        Ok(Self { window: window?.unwrap_or(Window::Minute), span: span? })
    }
}

/// `?limit&from&to`
#[derive(Debug)]
pub struct TopProductsQuery {
    limit: u32,
    span: Span,
}

impl FromFields for TopProductsQuery {
    fn from_fields(fields: &mut Fields<'_>) -> Result<Self, Noted> {
        let limit = page::limit(fields);
        let span = Span::from_fields(fields);
        Ok(Self { limit: limit?, span: span? })
    }
}

/// What is said of [`sales`].
pub fn sales_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    let operation =
        openapi::named(operation, "getSales", "followers", "What was sold, minute by minute or hour by hour");
    openapi::answers::<200, ListJson<SalesJson>>(
        operation,
        "A window for each currency in which something happened. By default the last hour.",
    )
}

/// `GET /v1/analytics/sales?window=1m|1h&from&to`
pub async fn sales(
    State(gateway): State<Arc<Gateway>>,
    _: Operator,
    Query(query): Query<SalesQuery>,
) -> Result<Json<ListJson<SalesJson>>, Problem> {
    let request = GetSalesRequest {
        window: query.window.into(),
        from: query.span.from.map(timestamp_to_proto),
        to: query.span.to.map(timestamp_to_proto),
    };
    let answer = rpc::ask(ASK_DEADLINE, request, |request| {
        let mut analytics = gateway.analytics.clone();
        async move { analytics.get_sales(request).await }
    });
    Ok(Json(ListJson::new(answer.await.map_err(wrong_span)?.items)))
}

/// What is said of [`top_products`].
pub fn top_products_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    let operation = openapi::named(operation, "getTopProducts", "followers", "What sold best");
    openapi::answers::<200, ListJson<ProductSalesJson>>(operation, "The best first.")
}

/// `GET /v1/analytics/top-products?limit&from&to`
pub async fn top_products(
    State(gateway): State<Arc<Gateway>>,
    _: Operator,
    Query(query): Query<TopProductsQuery>,
) -> Result<Json<ListJson<ProductSalesJson>>, Problem> {
    let request = TopProductsRequest {
        from: query.span.from.map(timestamp_to_proto),
        to: query.span.to.map(timestamp_to_proto),
        limit: query.limit,
    };
    let answer = rpc::ask(ASK_DEADLINE, request, |request| {
        let mut analytics = gateway.analytics.clone();
        async move { analytics.top_products(request).await }
    });
    Ok(Json(ListJson::new(answer.await.map_err(wrong_span)?.items)))
}

/// Which spans there can be is for analytics to say, which also knows what a parameter is that was left out. It names the
/// parameter first.
fn wrong_span(status: Status) -> Problem {
    match status.message().split_once(": ") {
        Some((field, detail)) if rpc::problem_of(&status) == ProblemCode::Invalid => {
            Problem::invalid(vec![FieldError { pointer: format!("/{field}"), detail: detail.to_owned() }])
        }
        _ => status.into(),
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use http_body_util::BodyExt;
    use serde_json::{Value, json};

    use super::*;

    async fn told(status: Status) -> Value {
        let body = wrong_span(status).into_response().into_body();
        serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap()
    }

    #[tokio::test]
    async fn a_span_that_analytics_finds_wrong_is_told_with_its_parameter() {
        let problem = told(rpc::status(ProblemCode::Invalid, "from: must be before `to`, which is now: 9")).await;
        let expected = json!([{"pointer": "/from", "detail": "must be before `to`, which is now: 9"}]);
        assert_eq!((&problem["code"], &problem["errors"]), (&json!("invalid"), &expected));
        let away = told(rpc::status(ProblemCode::Unavailable, "from: elsewhere")).await;
        assert_eq!((&away["code"], &away["errors"]), (&json!("unavailable"), &json!(null)));
    }
}
