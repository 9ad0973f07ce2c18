//! The monolith: an order in one process and one transaction, as one would write it who wants it simple and quick. It batches nothing.
//!
//! In one statement it takes the key and the stock, then it asks the card network, then it writes the rest and the letter. It calls
//! the network inside the transaction: a crash between the two leaves a charge without an order, which the services never do,
//! and a commit fewer for it is to the monolith's advance here. What a token says is known once it was verified, as at the gateway.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, RwLock},
};

use anyhow::{Context, Result, bail, ensure};
use aws_lc_rs::digest::{SHA256, digest};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{
        HeaderMap, StatusCode,
        header::{AUTHORIZATION, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
    routing::post,
    serve::ListenerExt,
};
use clap::Args;
use contracts::{
    event::Event,
    events::v1::OrderCompleted,
    ids::OrderId,
    money::v1::Money,
    order::v1::{Order, OrderStatus, PaymentStatus, PlacedBy, PricedLine},
    topics::ORDERS,
};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use outbox::{Relay, Waker};
use reqwest::Client;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use service_runtime::{
    clock::Clock,
    config::{DatabaseConfig, KafkaConfig},
};
use sqlx::{PgConnection, PgPool, postgres::PgPoolOptions};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// As many as the clients of the ceiling: more in flight wait for one.
const CONNECTIONS: u32 = 32;

/// The key and the stock; rows are locked in the order of their SKUs, so that no two orders wait for each other.
const TAKE: &str = "
    WITH placed AS (
        INSERT INTO orders (order_id, customer_id, idempotency_key, fingerprint, state) VALUES ($1, $2, $3, $4, 'PENDING')
        ON CONFLICT (customer_id, idempotency_key) DO NOTHING
        RETURNING order_id
    ), wanted AS MATERIALIZED (
        SELECT stock.sku, quantity FROM placed, stock JOIN unnest($5::text[], $6::bigint[]) AS line(sku, quantity) USING (sku)
        WHERE available >= quantity
        ORDER BY stock.sku FOR UPDATE OF stock
    ), taken AS (
        UPDATE stock SET available = available - quantity, reserved = reserved + quantity
        FROM wanted WHERE stock.sku = wanted.sku AND available >= quantity
        RETURNING stock.sku, quantity, price_minor
    )
    SELECT sku, quantity, price_minor, EXISTS (SELECT FROM placed) FROM taken
    UNION ALL SELECT NULL, 0, 0, EXISTS (SELECT FROM placed)";

/// The rest of it.
const COMPLETE: &str = "
    WITH held AS (
        INSERT INTO reservation (order_id, lines) VALUES ($1, $2)
    ), paid AS (
        INSERT INTO payment (order_id, amount_minor, currency) VALUES ($1, $3, 'EUR')
    )
    UPDATE orders SET state = 'COMPLETED', answer = $4 WHERE order_id = $1";

/// What the monolith is told.
#[derive(Debug, Args)]
pub struct Service {
    #[command(flatten)]
    database: DatabaseConfig,

    #[command(flatten)]
    kafka: KafkaConfig,

    /// Where it answers.
    #[arg(long, env = "LISTEN_ADDR")]
    listen_addr: SocketAddr,

    /// The card network.
    #[arg(long, env = "PSP_URL")]
    psp_url: String,

    /// Who tells the keys of tokens.
    #[arg(long, env = "GATEWAY_URL")]
    gateway_url: String,
}

struct Shop {
    database: PgPool,
    network: Client,
    charges: String,
    tokens: Tokens,
    relay: Waker,
}

impl Service {
    /// Serves for as long as the process is there, and relays its letters.
    pub async fn run(self) -> Result<()> {
        let relay = Relay::of_service(&self.database, &self.kafka)?;
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS).min_connections(CONNECTIONS);
        let shop = Shop {
            database: pool.test_before_acquire(false).connect(self.database.database_url.expose_secret()).await?,
            network: Client::builder().http2_prior_knowledge().tcp_nodelay(true).no_proxy().build()?,
            charges: format!("{}/charges", self.psp_url),
            tokens: Tokens::of(&self.gateway_url).await?,
            relay: relay.waker(),
        };
        tokio::spawn(relay.run(CancellationToken::new()));
        let routes = Router::new().route("/v1/orders", post(place_order)).with_state(Arc::new(shop));
        let listener = TcpListener::bind(self.listen_addr).await.context("the address is taken")?;
        let listener = listener.tap_io(|connection| {
            // a connection that is gone already has no options
            let _ = connection.set_nodelay(true);
        });
        Ok(axum::serve(listener, routes).await?)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    lines: Vec<WishedLine>,
    payment: Card,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WishedLine {
    sku: String,
    quantity: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Card {
    card_token: String,
}

async fn place_order(State(shop): State<Arc<Shop>>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(customer_id) = shop.tokens.customer(&headers) else { return StatusCode::UNAUTHORIZED.into_response() };
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok());
    let Some(key) = key.filter(|key| (8..=100).contains(&key.len())).map(str::to_owned) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let Ok(wish) = serde_json::from_slice::<Wish>(&body) else {
        return StatusCode::UNPROCESSABLE_ENTITY.into_response();
    };
    // a customer who hangs up must not leave half of it
    let placing = tokio::spawn(async move { shop.place(customer_id, &key, &body, &wish).await });
    match placing.await.map_err(anyhow::Error::from).flatten() {
        Ok(Some(answer)) => (StatusCode::CREATED, [(CONTENT_TYPE, "application/json")], answer).into_response(),
        Ok(None) => StatusCode::CONFLICT.into_response(),
        Err(error) => {
            eprintln!("an order failed: {error:#}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// A line with its price.
struct Line {
    sku: String,
    quantity: u32,
    price_minor: i64,
}

impl Shop {
    /// The answer; none when there is too little stock, or the key was used for something else.
    async fn place(&self, customer_id: Uuid, key: &str, body: &[u8], wish: &Wish) -> Result<Option<String>> {
        let order_id = OrderId::new();
        let fingerprint = digest(&SHA256, body);
        let mut tx = self.database.begin().await?;
        let (skus, quantities): (Vec<&str>, Vec<i64>) =
            wish.lines.iter().map(|line| (line.sku.as_str(), i64::from(line.quantity))).unzip();
        let taken: Vec<(Option<String>, i64, i64, bool)> = sqlx::query_as(TAKE)
            .bind(order_id.to_string().parse::<Uuid>()?)
            .bind(customer_id)
            .bind(key)
            .bind(fingerprint.as_ref())
            .bind(skus)
            .bind(quantities)
            .fetch_all(&mut *tx)
            .await?;
        if !taken.iter().any(|&(.., placed)| placed) {
            return answer_before(&mut tx, customer_id, key, fingerprint.as_ref()).await;
        }
        let lines = taken.into_iter().filter_map(|(sku, quantity, price_minor, _)| Some((sku?, quantity, price_minor)));
        let lines: Vec<Line> = lines
            .map(|(sku, quantity, price_minor)| Ok(Line { sku, quantity: quantity.try_into()?, price_minor }))
            .collect::<Result<_>>()?;
        if lines.len() < wish.lines.len() {
            tx.rollback().await?;
            return Ok(None);
        }
        let total = lines.iter().map(|line| line.price_minor * i64::from(line.quantity)).sum();
        self.charge(order_id, total, &wish.payment.card_token).await?;
        let lines_json = priced(&lines);
        let answer = answer(order_id, &lines_json, total)?;
        sqlx::query(COMPLETE)
            .bind(order_id.to_string().parse::<Uuid>()?)
            .bind(&lines_json)
            .bind(total)
            .bind(&answer)
            .execute(&mut *tx)
            .await?;
        outbox::append_in_tx(&mut tx, ORDERS, &letter(order_id, customer_id, &lines, total)).await?;
        tx.commit().await?;
        self.relay.wake();
        Ok(Some(answer))
    }

    async fn charge(&self, order_id: OrderId, amount_minor: i64, card_token: &str) -> Result<()> {
        let charge = json!({"merchant_reference": order_id, "amount": money(amount_minor), "card_token": card_token});
        let answer = self.network.post(&self.charges).json(&charge).send().await?;
        ensure!(answer.status() == StatusCode::OK, "the card network answered {}", answer.status());
        answer.bytes().await?;
        Ok(())
    }
}

/// What the same key was answered before.
async fn answer_before(
    database: &mut PgConnection,
    customer_id: Uuid,
    key: &str,
    fingerprint: &[u8],
) -> Result<Option<String>> {
    let before = "SELECT answer, fingerprint FROM orders WHERE customer_id = $1 AND idempotency_key = $2";
    let before: Option<(String, Vec<u8>)> =
        sqlx::query_as(before).bind(customer_id).bind(key).fetch_optional(database).await?;
    let (answer, same) = before.context("the key is taken by an order that is not there")?;
    Ok((same == fingerprint).then_some(answer))
}

/// The order as it is told, with its id first: some read no further.
#[derive(Serialize)]
struct Answer<'a> {
    order_id: OrderId,
    status: &'static str,
    lines: &'a Value,
    total: Value,
    placed_by: &'static str,
    payment: Value,
    shipment: Option<Value>,
    version: i64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

fn answer(order_id: OrderId, lines: &Value, total: i64) -> Result<String> {
    let now = Clock::System.now();
    let answer = Answer {
        order_id,
        status: "COMPLETED",
        lines,
        total: money(total),
        placed_by: "telephone",
        payment: json!({"status": "CAPTURED"}),
        shipment: None,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    Ok(serde_json::to_string(&answer)?)
}

fn priced(lines: &[Line]) -> Value {
    let line = |line: &Line| {
        json!({"sku": line.sku, "quantity": line.quantity, "unit_price": money(line.price_minor),
            "line_total": money(line.price_minor * i64::from(line.quantity))})
    };
    lines.iter().map(line).collect()
}

fn money(amount_minor: i64) -> Value {
    json!({"amount_minor": amount_minor, "currency": "EUR"})
}

fn letter(order_id: OrderId, customer_id: Uuid, lines: &[Line], total: i64) -> Event {
    let money = |amount_minor: i64| Some(Money { amount_minor, currency: "EUR".to_owned() });
    let line = |line: &Line| PricedLine {
        sku: line.sku.clone(),
        quantity: line.quantity,
        unit_price: money(line.price_minor),
        line_total: money(line.price_minor * i64::from(line.quantity)),
    };
    let order = Order {
        order_id: order_id.to_string(),
        customer_id: customer_id.to_string(),
        status: OrderStatus::Completed.into(),
        lines: lines.iter().map(line).collect(),
        total: money(total),
        placed_by: PlacedBy::Telephone.into(),
        payment_status: PaymentStatus::Captured.into(),
        version: 1,
        ..Order::default()
    };
    Event::new(ORDERS, order_id.to_string(), 1, Clock::System.now(), &OrderCompleted { order: Some(order) })
}

/// Tokens of accounts.
struct Tokens {
    keys: HashMap<String, DecodingKey>,
    validation: Validation,
    /// Whose each is that was verified.
    known: RwLock<HashMap<String, Claims>>,
}

#[derive(Clone, Copy, Deserialize)]
struct Claims {
    sub: Uuid,
    exp: i64,
}

impl Tokens {
    async fn of(gateway_url: &str) -> Result<Self> {
        let keys = Client::new().get(format!("{gateway_url}/.well-known/jwks.json")).send().await?;
        let keys: JwkSet = keys.error_for_status()?.json().await?;
        let keys =
            keys.keys.iter().filter_map(|key| Some((key.common.key_id.clone()?, DecodingKey::from_jwk(key).ok()?)));
        let keys: HashMap<String, DecodingKey> = keys.collect();
        if keys.is_empty() {
            bail!("the gateway tells no key");
        }
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        validation.set_issuer(&["postbox-accounts"]);
        validation.set_audience(&["postbox"]);
        validation.validate_nbf = true;
        Ok(Self { keys, validation, known: RwLock::default() })
    }

    /// Whose request it is.
    fn customer(&self, headers: &HeaderMap) -> Option<Uuid> {
        let token = headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
        if let Some(claims) = self.known.read().expect("no writer panics").get(token) {
            return (claims.exp > Clock::System.now().as_second()).then_some(claims.sub);
        }
        let key = self.keys.get(&decode_header(token).ok()?.kid?)?;
        let claims = decode::<Claims>(token, key, &self.validation).ok()?.claims;
        self.known.write().expect("no writer panics").insert(token.to_owned(), claims);
        Some(claims.sub)
    }
}
