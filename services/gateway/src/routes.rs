//! Every route. What a handler takes says who may call it and what is looked at in which order; what is common to all is
//! wrapped around them here, and so is what they are described with ([`openapi`]).

use std::{any::Any, sync::Arc};

use aide::{
    axum::{
        ApiRouter,
        routing::{ApiMethodRouter, delete_with, get_with, post_with, put_with},
    },
    openapi::OpenApi,
};
use axum::{
    Router,
    middleware::{from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::get,
};
use contracts::problem::ProblemCode;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::error;

use crate::{
    Gateway, accounts, analytics, body, cancel_order, content_coding, cross_origin, framing, messages, negotiation,
    observe, openapi, order_events, orders, overload, place_order, problem::Problem, problem_pages, products,
    rate_limits, sales_events, shipments, timeline,
};

const ACCOUNTS: &str = "/v1/accounts";
const TOKENS: &str = "/v1/tokens";

/// Where a POST costs accounts a password hash.
pub const HASHING: [&str; 2] = [ACCOUNTS, TOKENS];

/// The whole HTTP interface.
pub fn routes(gateway: Arc<Gateway>) -> Router {
    let (described, api) = described(&gateway);
    let document = openapi::document(&api);
    let page = openapi::page();
    let about = Router::new()
        .route("/openapi.json", get(async || openapi::constant("application/json", document)))
        .route_layer(from_fn(negotiation::offers_json))
        .merge(
            Router::new()
                .route("/docs", get(async || openapi::constant("text/html; charset=utf-8", page)))
                .route_layer(from_fn(negotiation::offers_html)),
        );

    let routes = described
        .merge(about)
        .fallback(async || Problem::not_found())
        .method_not_allowed_fallback(async || {
            Problem::new(ProblemCode::MethodNotAllowed, "the header Allow names the methods of this path")
        })
        .layer(from_fn(framing::refuse_ambiguous))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(gateway.clone(), rate_limits::limit));
    let routes = match cross_origin::layer(&gateway.allowed_origins) {
        Some(cors) => routes.layer(from_fn_with_state(cors, cross_origin::share)),
        None => routes,
    };
    routes.layer(from_fn(framing::tell_of_the_close)).layer(from_fn(observe::observe)).with_state(gateway)
}

/// The routes that programs use, and what is said of them.
pub fn described(gateway: &Arc<Gateway>) -> (Router<Arc<Gateway>>, OpenApi) {
    let bare =
        |route: ApiMethodRouter<Arc<Gateway>>| route.route_layer(from_fn_with_state(gateway.clone(), overload::shed));
    let with_body = |route| bare(route).route_layer(from_fn_with_state(gateway.clone(), body::readable));
    let with_body_if_any = |route| bare(route).route_layer(from_fn_with_state(gateway.clone(), body::readable_if_any));

    openapi::begin();
    let api = ApiRouter::new()
        .api_route(ACCOUNTS, with_body(post_with(accounts::register, accounts::register_docs)))
        .api_route(
            "/v1/accounts/me",
            bare(get_with(accounts::me, accounts::me_docs))
                .merge(with_body_if_any(delete_with(accounts::erase, accounts::erase_docs))),
        )
        .api_route("/v1/accounts/me/address", with_body(put_with(accounts::set_address, accounts::set_address_docs)))
        .api_route(TOKENS, with_body(post_with(accounts::login, accounts::login_docs)))
        .api_route("/.well-known/jwks.json", bare(get_with(accounts::jwks, accounts::jwks_docs)))
        .api_route("/v1/products", bare(get_with(products::list, products::list_docs)))
        .api_route(
            "/v1/products/{sku}",
            bare(get_with(products::get, products::get_docs))
                .merge(with_body(put_with(products::put, products::put_docs))),
        )
        .api_route("/v1/products/{sku}/restock", with_body(post_with(products::restock, products::restock_docs)))
        .api_route(
            "/v1/orders",
            bare(get_with(orders::list, orders::list_docs))
                .merge(with_body(post_with(place_order::place_order, place_order::place_order_docs))),
        )
        .api_route("/v1/orders/{id}", bare(get_with(orders::get, orders::get_docs)))
        .api_route(
            "/v1/orders/{id}/cancel",
            with_body_if_any(post_with(cancel_order::cancel_order, cancel_order::cancel_order_docs)),
        )
        .api_route(
            "/v1/orders/{id}/dispatch",
            with_body_if_any(post_with(shipments::dispatch, shipments::dispatch_docs)),
        )
        .api_route("/v1/orders/{id}/timeline", bare(get_with(timeline::timeline, timeline::timeline_docs)))
        .api_route("/v1/messages", bare(get_with(messages::list, messages::list_docs)))
        .api_route("/v1/analytics/sales", bare(get_with(analytics::sales, analytics::sales_docs)))
        .api_route("/v1/analytics/top-products", bare(get_with(analytics::top_products, analytics::top_products_docs)))
        .route_layer(from_fn(negotiation::offers_json))
        .route_layer(content_coding::layer())
        .route_layer(from_fn(content_coding::negotiate));
    // streams stay open: they are counted on their own, and so can never shed the requests above
    let streams = ApiRouter::new()
        .api_route("/v1/orders/{id}/events", get_with(order_events::events, order_events::events_docs))
        .api_route("/v1/analytics/live", get_with(sales_events::live, sales_events::live_docs))
        .route_layer(from_fn(negotiation::offers_events));
    let pages = ApiRouter::new()
        .api_route("/problems/{code}", bare(get_with(problem_pages::page, problem_pages::page_docs)))
        .route_layer(from_fn(negotiation::offers_html));
    let mut document = OpenApi::default();
    let routes = api.merge(streams).merge(pages).finish_api_with(&mut document, openapi::complete);
    (routes, document)
}

#[expect(clippy::needless_pass_by_value, reason = "the layer hands the panic over")]
fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let told = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    error!(panic = told.unwrap_or("of an unknown kind"), "a handler panicked");
    Problem::new(ProblemCode::Internal, "a fault of ours; the log tells more under this trace_id").into_response()
}
