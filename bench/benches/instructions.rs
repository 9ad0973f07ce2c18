//! How many instructions the hot functions take that need no I/O: a guard against getting slower, which no busy machine disturbs.
//! `make counts` runs it under Valgrind and compares with `instructions.json`.
//!
//! What is prepared before (`setup`) is not counted.

#![expect(missing_docs, reason = "the attribute makes modules and constants that only its runner reads")]

use std::{collections::BTreeMap, hint::black_box, sync::Arc, time::Duration};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use batcher::{Batch, Batcher, Limits};
use contracts::{
    accounts::v1::accounts_service_client::AccountsServiceClient,
    event::Event,
    events::v1::OrderCompleted,
    ids::{AccountId, OrderId, Sku},
    money::Money,
    order::v1::{Order, OrderStatus, PaymentStatus, PlacedBy, PricedLine},
    timestamp_to_proto,
    topics::ORDERS,
};
use futures::future::join_all;
use gateway::{
    fields::{self, Tree},
    issuer::Issuer,
    keys::{Keys, Source},
    place_order::OrderFields,
    token::Tokens,
};
use gungraun::prelude::*;
use inventory::{Line, Offer};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use order::{order::PlacedBy as Door, place_order::PlaceOrder};
use rpc::Tls;
use serde_json::json;
use tokio::runtime::{Builder, Runtime};

/// How often a token is verified again.
const VERIFIED: u32 = 64;

/// Requests that come at the same time.
const TOGETHER: usize = 32;

const BODY: &[u8] =
    br#"{"lines":[{"sku":"sku-0017","quantity":1},{"sku":"sku-1999","quantity":3}],"payment":{"card_token":"tok_visa"}}"#;

// a letter

fn completed() -> (String, Order) {
    let money = |units| Some(contracts::money::v1::Money { amount_minor: units, currency: "EUR".to_owned() });
    let line =
        |sku: &str| PricedLine { sku: sku.to_owned(), quantity: 1, unit_price: money(1_250), line_total: money(1_250) };
    let id = OrderId::new().to_string();
    let at = Some(timestamp_to_proto(Timestamp::UNIX_EPOCH));
    let order = Order {
        order_id: id.clone(),
        customer_id: AccountId::new().to_string(),
        status: OrderStatus::Completed.into(),
        lines: vec![line("sku-0017"), line("sku-1999")],
        total: money(2_500),
        placed_by: PlacedBy::Telephone.into(),
        payment_status: PaymentStatus::Captured.into(),
        version: 2,
        created_at: at,
        updated_at: at,
        ..Order::default()
    };
    (id, order)
}

fn write((id, order): (String, Order)) -> Event {
    let mut event = Event::new(ORDERS, id, 2, Timestamp::UNIX_EPOCH, &OrderCompleted { order: Some(order) });
    event.traceparent = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned());
    event
}

fn sent() -> (Event, Vec<(&'static str, String)>) {
    let event = write(completed());
    let headers = event.to_headers();
    (event, headers)
}

#[library_benchmark]
#[bench::of_an_order(setup = completed)]
fn letter_encoded(order: (String, Order)) -> (Event, Vec<(&'static str, String)>) {
    let event = write(black_box(order));
    let headers = event.to_headers();
    (event, headers)
}

#[library_benchmark]
#[bench::of_an_order(setup = sent)]
fn letter_decoded((event, headers): (Event, Vec<(&'static str, String)>)) -> Option<Order> {
    let headers = headers.iter().map(|(name, value)| (*name, Some(value.as_bytes())));
    let letter = Event::from_kafka(Some(event.subject.as_bytes()), headers, Some(&event.payload)).expect("a letter");
    black_box(letter).decode::<OrderCompleted>().expect("an order").order
}

// a request

/// An order's body, when one was read before: what spellings are checked with is made for the first.
fn read_before() -> &'static [u8] {
    let tree = Tree::parse(BODY).expect("it is JSON");
    fields::read::<OrderFields>(&tree).expect("it is an order");
    BODY
}

#[library_benchmark]
#[bench::of_an_order(setup = read_before)]
fn body_read(json: &[u8]) -> OrderFields {
    let tree = Tree::parse(black_box(json)).expect("it is JSON");
    fields::read(&tree).expect("it is an order")
}

fn place_order() -> PlaceOrder {
    let line = |sku: &str, quantity: u32| (sku.parse().expect("a SKU"), quantity.try_into().expect("a quantity"));
    PlaceOrder {
        order_id: OrderId::new(),
        customer_id: AccountId::new(),
        idempotency_key: "bench-001-0000000001".to_owned(),
        lines: vec![line("sku-0017", 1), line("sku-1999", 3)],
        card_token: "tok_visa".to_owned(),
        budget: Duration::from_secs(5),
        placed_by: Door::Telephone,
    }
}

#[library_benchmark]
#[bench::of_an_order(setup = place_order)]
fn fingerprint(command: PlaceOrder) -> [u8; 32] {
    black_box(&command).fingerprint()
}

/// A gateway's tokens, one of which it has seen.
fn verified() -> (Runtime, Tokens, String) {
    let runtime = runtime();
    let entered = runtime.enter();
    let pair = Ed25519KeyPair::generate().expect("a key");
    let public = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "one", "x": public});
    // nobody is there, and nobody is asked
    let nowhere = Tls::off().channel_found_by("http://accounts:50051", std::future::pending).expect("a URL");
    let keys = Arc::new(Keys::new(Source::Accounts(AccountsServiceClient::new(nowhere))));
    keys.replace(json!({"keys": [jwk]}).to_string()).expect("a JWK set");
    let now = jsonwebtoken::get_current_timestamp();
    let claims = json!({
        "iss": "postbox-accounts", "aud": "postbox", "sub": AccountId::new().to_string(), "roles": ["customer"],
        "iat": now, "nbf": now, "exp": now + 900
    });
    let header = Header { kid: Some("one".to_owned()), ..Header::new(Algorithm::EdDSA) };
    let der = pair.to_pkcs8v1().expect("a key");
    let token = jsonwebtoken::encode(&header, &claims, &EncodingKey::from_ed_der(der.as_ref())).expect("a token");
    let tokens = Tokens::new(Arc::new(Issuer::Accounts), keys);
    runtime.block_on(tokens.verify(&token)).expect("it is valid");
    drop(entered);
    (runtime, tokens, token)
}

#[library_benchmark]
#[bench::of_a_customer(setup = verified)]
fn token_verified_again((runtime, tokens, token): (Runtime, Tokens, String)) -> (Runtime, Tokens) {
    // many times: the cache tidies itself up by the clock, which would be half of what a single look costs
    for _ in 0..VERIFIED {
        runtime.block_on(tokens.verify(black_box(&token))).expect("it is valid");
    }
    (runtime, tokens)
}

// a batch

/// Answers every request with itself.
struct Echo;

impl Batch for Echo {
    type Request = u64;
    type Answer = u64;
    type Error = String;

    async fn write(&self, requests: &[u64]) -> Result<Vec<u64>, String> {
        Ok(requests.to_vec())
    }

    fn is_of_one_request(_: &String) -> bool {
        false
    }
}

fn batcher() -> (Runtime, Batcher<Echo>) {
    let runtime = runtime();
    let batcher = runtime.block_on(async {
        let batcher = Batcher::start("echo", Echo, Limits { queue_max: 1_000, weight_max: 1_000, requests_max: 1_000 });
        batcher.submit(0).await.expect("it is answered");
        batcher
    });
    (runtime, batcher)
}

#[library_benchmark]
#[bench::of_32(setup = batcher)]
fn batch_answered((runtime, batcher): (Runtime, Batcher<Echo>)) -> (Runtime, Batcher<Echo>) {
    let answered = runtime.block_on(join_all((0..TOGETHER as u64).map(|request| batcher.submit(request))));
    assert!(answered.into_iter().all(|answer| answer.is_ok()), "a request was refused");
    (runtime, batcher)
}

/// What is on offer, and what orders want of it.
fn wishes() -> (BTreeMap<Sku, Offer>, Vec<Vec<Line>>) {
    let sku = |number: usize| -> Sku { format!("sku-{number:04}").parse().expect("a SKU") };
    let price = Money::from_code(1_250, "EUR").expect("an amount");
    let offers = (0..TOGETHER).map(|number| (sku(number), Offer { available: 1_000, price })).collect();
    let line = |number: usize| Line { sku: sku(number % TOGETHER), quantity: 1_u32.try_into().expect("a quantity") };
    (offers, (0..TOGETHER).map(|number| vec![line(number), line(7 * number + 1)]).collect())
}

#[library_benchmark]
#[bench::of_32(setup = wishes)]
fn stock_decided((offers, wishes): (BTreeMap<Sku, Offer>, Vec<Vec<Line>>)) -> usize {
    black_box(&wishes).iter().filter(|lines| inventory::decide(lines, &offers).is_ok()).count()
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

library_benchmark_group!(
    name = hot,
    benchmarks =
        [letter_encoded, letter_decoded, body_read, fingerprint, token_verified_again, batch_answered, stock_decided]
);

main!(library_benchmark_groups = hot);
