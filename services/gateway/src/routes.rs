//! Every route. What a handler takes says who may call it and what is looked at in which order; what is common to all is
//! wrapped around them here.

use std::{any::Any, sync::Arc};

use axum::{
    Router,
    middleware::{from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post, put},
};
use contracts::problem::ProblemCode;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::error;

use crate::{
    Gateway, accounts, analytics, body, cancel_order, content_coding, cross_origin, framing, messages, negotiation,
    observe, order_events, orders, overload, place_order, problem::Problem, problem_pages, products, sales_events,
    shipments, timeline,
};

/// The whole HTTP interface.
pub fn routes(gateway: Arc<Gateway>) -> Router {
    let bare =
        |route: MethodRouter<Arc<Gateway>>| route.route_layer(from_fn_with_state(gateway.clone(), overload::shed));
    let with_body = |route| bare(route).route_layer(from_fn(body::readable));
    let with_body_if_any = |route| bare(route).route_layer(from_fn(body::readable_if_any));

    let api = Router::new()
        .route("/v1/accounts", with_body(post(accounts::register)))
        .route("/v1/accounts/me", bare(get(accounts::me)))
        .route("/v1/accounts/me/address", with_body(put(accounts::set_address)))
        .route("/v1/tokens", with_body(post(accounts::login)))
        .route("/.well-known/jwks.json", bare(get(accounts::jwks)))
        .route("/v1/products", bare(get(products::list)))
        .route("/v1/products/{sku}", bare(get(products::get)).merge(with_body(put(products::put))))
        .route("/v1/products/{sku}/restock", with_body(post(products::restock)))
        .route("/v1/orders", bare(get(orders::list)).merge(with_body(post(place_order::place_order))))
        .route("/v1/orders/{id}", bare(get(orders::get)))
        .route("/v1/orders/{id}/cancel", with_body_if_any(post(cancel_order::cancel_order)))
        .route("/v1/orders/{id}/dispatch", with_body_if_any(post(shipments::dispatch)))
        .route("/v1/orders/{id}/timeline", bare(get(timeline::timeline)))
        .route("/v1/messages", bare(get(messages::list)))
        .route("/v1/analytics/sales", bare(get(analytics::sales)))
        .route("/v1/analytics/top-products", bare(get(analytics::top_products)))
        .route_layer(from_fn(negotiation::offers_json))
        .route_layer(content_coding::layer())
        .route_layer(from_fn(content_coding::negotiate));
    // streams stay open: they are counted on their own, and so can never shed the requests above
    let streams = Router::new()
        .route("/v1/orders/{id}/events", get(order_events::events))
        .route("/v1/analytics/live", get(sales_events::live))
        .route_layer(from_fn(negotiation::offers_events));
    let pages = Router::new()
        .route("/problems/{code}", bare(get(problem_pages::page)))
        .route_layer(from_fn(negotiation::offers_html));

    let routes = api
        .merge(streams)
        .merge(pages)
        .fallback(async || Problem::not_found())
        .method_not_allowed_fallback(async || {
            Problem::new(ProblemCode::MethodNotAllowed, "the header Allow names the methods of this path")
        })
        .layer(from_fn(framing::refuse_ambiguous))
        .layer(CatchPanicLayer::custom(panicked));
    let routes = match cross_origin::layer(&gateway.allowed_origins) {
        Some(cors) => routes.layer(from_fn_with_state(cors, cross_origin::share)),
        None => routes,
    };
    routes.layer(from_fn(observe::observe)).with_state(gateway)
}

#[expect(clippy::needless_pass_by_value, reason = "the layer hands the panic over")]
fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let told = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    error!(panic = told.unwrap_or("of an unknown kind"), "a handler panicked");
    Problem::new(ProblemCode::Internal, "a fault of ours; the log tells more under this trace_id").into_response()
}
