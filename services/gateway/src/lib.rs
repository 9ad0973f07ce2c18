//! The gateway is the outside of the platform: HTTP in, telephone calls out. It keeps nothing that has to last.
//!
//! Start at [`routes`], which lists every route; each handler names who may call it ([`caller`]) and what it takes
//! ([`body`], [`fields`]); what goes wrong is a [`problem`].

pub mod body;
pub mod caller;
pub mod client_address;
pub mod config;
pub mod cross_origin;
pub mod fields;
pub mod issuer;
pub mod jwks_url;
pub mod key;
pub mod keys;
pub mod openapi;
pub mod place_order;
pub mod problem;
pub mod routes;
pub mod serve;
pub mod token;

mod account_json;
mod accounts;
mod analytics;
mod cancel_order;
mod content_coding;
mod event_stream;
mod follow;
mod framing;
mod idempotency_key;
mod limit;
mod message_json;
mod messages;
mod money_json;
mod negotiation;
mod newcomers;
mod observe;
mod order_answer;
mod order_events;
mod order_json;
mod orders;
mod overload;
mod page;
mod path;
mod prefer;
mod problem_pages;
mod product_json;
mod products;
mod rate_limits;
mod revision;
mod sales_events;
mod sales_json;
mod shipment_json;
mod shipments;
mod spelling;
mod timeline;
mod timeline_json;
mod watchers;

use std::{
    io::{Write, stdout},
    sync::Arc,
    time::Duration,
};

use contracts::{
    accounts::v1::accounts_service_client::AccountsServiceClient,
    analytics::v1::analytics_service_client::AnalyticsServiceClient,
    inventory::v1::inventory_service_client::InventoryServiceClient,
    notification::v1::notification_service_client::NotificationServiceClient,
    order::v1::{PlaceOrder, PlaceOrdersRequest, PlaceOrdersResponse, order_service_client::OrderServiceClient},
    shipping::v1::shipping_service_client::ShippingServiceClient,
};
use rpc::{Channel, Lists, MESSAGE_BYTES_MAX, Tls};
use service_runtime::{
    Error, Shutdown,
    config::OpsConfig,
    ops::{self, Readiness, Router},
};
use tokio::{net::TcpListener, sync::Semaphore};
use tracing::{info, warn};

use crate::{
    config::Config,
    cross_origin::AllowedOrigins,
    issuer::Issuer,
    jwks_url::JwksUrl,
    keys::{Keys, Source},
    newcomers::Newcomers,
    rate_limits::RateLimits,
    token::Tokens,
    watchers::Watchers,
};

/// How long a call to another service may take, unless its route says otherwise.
pub(crate) const ASK_DEADLINE: Duration = Duration::from_secs(2);

/// Whom the gateway asks, and what it goes by.
#[derive(Debug)]
pub struct Gateway {
    pub(crate) accounts: AccountsServiceClient<Channel>,
    pub(crate) orders: OrderServiceClient<Channel>,
    /// Orders that are placed at the same time go in lists.
    pub(crate) placed_orders: Lists<PlaceOrder, PlaceOrdersResponse>,
    /// On a connection of its own: streams that stay open must not take the places of calls, nor their share of its window.
    pub(crate) watched_orders: OrderServiceClient<Channel>,
    pub(crate) inventory: InventoryServiceClient<Channel>,
    pub(crate) shipping: ShippingServiceClient<Channel>,
    pub(crate) notification: NotificationServiceClient<Channel>,
    pub(crate) analytics: AnalyticsServiceClient<Channel>,
    /// On a connection of its own, like [`Self::watched_orders`].
    pub(crate) watched_sales: AnalyticsServiceClient<Channel>,
    /// Who issues tokens.
    pub(crate) issuer: Arc<Issuer>,
    /// Who calls.
    pub(crate) tokens: Tokens,
    /// Who of them has an account.
    pub(crate) newcomers: Newcomers,
    /// The keys that tokens are verified with.
    pub keys: Arc<Keys>,
    /// How much each of them may send.
    pub(crate) rate_limits: Arc<RateLimits>,
    /// One permit for each request that is worked on.
    pub(crate) requests: Semaphore,
    /// A place for each stream of events.
    pub(crate) watchers: Arc<Watchers>,
    /// One permit for each KiB of bodies that are not answered yet.
    pub(crate) body_room: Arc<Semaphore>,
    /// Whose pages may use the API.
    pub(crate) allowed_origins: AllowedOrigins,
    pub(crate) shutdown: Shutdown,
}

impl Gateway {
    /// A gateway that has not called anybody yet. It ends its streams when the end is requested.
    pub fn new(config: &Config, shutdown: &Shutdown) -> Result<Self, Error> {
        let tls = Tls::open(&config.tls)?;
        let accounts =
            AccountsServiceClient::new(tls.channel(&config.accounts_url)?).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let orders =
            OrderServiceClient::new(tls.channel(&config.order_url)?).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let issuer = Arc::new(Issuer::new(&config.issuer)?);
        let keys = Arc::new(Keys::new(source(&issuer, config, &accounts)?));
        Ok(Self {
            placed_orders: Lists::start("order.v1.OrderService/PlaceOrders", |outcome| &outcome.requested_order_id, {
                let orders = orders.clone();
                move |request| {
                    let mut orders = orders.clone();
                    async move { orders.place_orders(request.map(|items| PlaceOrdersRequest { items })).await }
                }
            }),
            tokens: Tokens::new(issuer.clone(), keys.clone()),
            issuer,
            keys,
            newcomers: Newcomers::new(accounts.clone()),
            accounts,
            orders,
            watched_orders: OrderServiceClient::new(tls.channel(&config.order_url)?)
                .max_decoding_message_size(MESSAGE_BYTES_MAX),
            inventory: InventoryServiceClient::new(tls.channel(&config.inventory_url)?)
                .max_decoding_message_size(MESSAGE_BYTES_MAX),
            shipping: ShippingServiceClient::new(tls.channel(&config.shipping_url)?)
                .max_decoding_message_size(MESSAGE_BYTES_MAX),
            notification: NotificationServiceClient::new(tls.channel(&config.notification_url)?)
                .max_decoding_message_size(MESSAGE_BYTES_MAX),
            analytics: AnalyticsServiceClient::new(tls.channel(&config.analytics_url)?)
                .max_decoding_message_size(MESSAGE_BYTES_MAX),
            rate_limits: Arc::new(RateLimits::new(config)),
            watched_sales: AnalyticsServiceClient::new(tls.channel(&config.analytics_url)?)
                .max_decoding_message_size(MESSAGE_BYTES_MAX),
            requests: Semaphore::new(config.requests_max as usize),
            watchers: Arc::new(Watchers::new(config.sse_streams_max, config.sse_streams_of_account_max)),
            body_room: Arc::new(Semaphore::new(config.bodies_kib_max as usize)),
            allowed_origins: config.cors_allowed_origins.clone(),
            shutdown: shutdown.clone(),
        })
    }
}

/// Who tells the keys of the issuer.
fn source(issuer: &Issuer, config: &Config, accounts: &AccountsServiceClient<Channel>) -> Result<Source, Error> {
    let Some(outside) = issuer.outside() else { return Ok(Source::Accounts(accounts.clone())) };
    let url = JwksUrl::new(&config.issuer.jwks_url, &config.issuer.jwks_ca_file)?;
    info!(issuer = outside, "tokens of another issuer are taken, and those of accounts are not");
    if url.is_in_the_clear() {
        warn!("JWKS_URL is not https: whoever can change what comes from there can sign tokens");
    }
    Ok(Source::Outside(Box::new(url)))
}

/// Serves until the end is requested and requests under way are answered.
pub async fn run(config: Config, shutdown: Shutdown) -> Result<(), Error> {
    observe::describe();
    let gateway = Arc::new(Gateway::new(&config, &shutdown)?);
    // without keys it can authenticate nobody; once it has some it goes on with them, whatever becomes of the issuer
    let waiting_for = match *gateway.issuer {
        Issuer::Accounts => "the keys of accounts (ACCOUNTS_URL)",
        Issuer::Outside(_) => "the keys of the issuer of tokens (JWKS_URL)",
    };
    let readiness = Readiness::Flag { ready: gateway.keys.present(), waiting_for };
    ops::serve(&OpsConfig { ops_addr: config.ops_addr }, readiness, Router::new(), &shutdown).await?;
    shutdown.spawn_part("keys", gateway.keys.clone().keep_fresh(shutdown.clone()));
    shutdown.spawn_part("rate limits", gateway.rate_limits.clone().forget_the_idle(shutdown.clone()));
    let listener = TcpListener::bind(config.listen_addr)
        .await
        .map_err(|error| Error::Config(format!("LISTEN_ADDR {}: {error}", config.listen_addr)))?;
    serve::serve(listener, routes::routes(gateway), config.connections_max, &shutdown).await;
    Ok(())
}

/// Prints what the HTTP interface is, as OpenAPI 3.1. Asks nobody.
pub fn print_openapi(config: &Config, shutdown: &Shutdown) -> Result<(), Error> {
    let gateway = Arc::new(Gateway::new(config, shutdown)?);
    let (_, api) = routes::described(&gateway);
    writeln!(stdout(), "{}", openapi::document(&api)).map_err(|error| Error::other("standard output", error))
}
