//! Load: orders through the front door. It shares the machine with what it measures, so an order must cost it little: one
//! connection for each client, requests that are put together from ready parts, answers that nobody reads.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, StatusCode, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName},
};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::JoinSet, time::Instant};
use uuid::Uuid;

use crate::{
    chance,
    journal::Journal,
    orders::Customer,
    platform::Platform,
    slice::{Departures, Pace, Tally},
};

/// People who order in turns.
const CUSTOMERS: usize = 32;

/// Products of the catalogue `bench`, `sku-0000` and on, of which nothing runs out.
const PRODUCTS: u64 = 2_000;

/// A token lives for 15 minutes; before that everybody logs in again.
const TOKENS_FRESH: Duration = Duration::from_mins(8);

/// The pause of a client after an order that was not taken: whoever is refused must not come back in a tight circle.
const REFUSED: Duration = Duration::from_millis(10);

/// What no answer is counted as.
const NO_ANSWER: u16 = 0;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// RFC 7240.
const PREFER: HeaderName = HeaderName::from_static("prefer");

/// The most lines that an order may have.
const LINES_MAX: usize = 100;

/// What is ordered, and with which card it is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basket {
    /// Two of all products, by chance.
    All,
    /// The first line of every order is the same product, the second another one by chance: as much work, one hot row.
    OneHot,
    /// As `All`, with a card that the network takes 2 s for.
    SlowCard,
    /// As many lines as an order may have, by chance.
    Huge,
}

impl Basket {
    fn lines(self) -> usize {
        if self == Self::Huge { LINES_MAX } else { 2 }
    }

    fn card(self) -> &'static str {
        if self == Self::SlowCard { "tok_slow_2s" } else { "tok_visa" }
    }
}

/// A request's body, but for the digits of its products.
#[derive(Debug, Clone)]
struct Form {
    body: Vec<u8>,
    /// Where the digits of each line are.
    digits: Vec<usize>,
}

impl Form {
    fn of(basket: Basket) -> Self {
        let (mut body, mut digits) = (br#"{"lines":["#.to_vec(), Vec::new());
        for line in 0..basket.lines() {
            let head: &[u8] = if line == 0 { br#"{"sku":"sku-"# } else { br#",{"sku":"sku-"# };
            body.extend_from_slice(head);
            digits.push(body.len());
            body.extend_from_slice(br#"0000","quantity":1}"#);
        }
        body.extend_from_slice(format!(r#"],"payment":{{"card_token":"{}"}}}}"#, basket.card()).as_bytes());
        Self { body, digits }
    }

    /// With these products.
    fn filled(&self, skus: impl Iterator<Item = u64>) -> Vec<u8> {
        let mut body = self.body.clone();
        for (&at, sku) in self.digits.iter().zip(skus) {
            put_digits(&mut body[at..at + 4], sku);
        }
        body
    }
}

/// How orders are placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// The customer waits for the decision: 201.
    Telephone,
    /// The customer hears that the order was taken: 202. Letters carry it on.
    Letter,
}

impl Door {
    /// What an order is answered that was taken.
    fn taken(self) -> StatusCode {
        match self {
            Self::Telephone => StatusCode::CREATED,
            Self::Letter => StatusCode::ACCEPTED,
        }
    }
}

/// Those who order, and where.
#[derive(Debug)]
pub struct Load {
    gateway: SocketAddr,
    customers: Vec<Customer>,
    forms: Arc<Forms>,
    journal: Journal,
    acknowledged: i64,
    fresh_until: Instant,
    /// Slices so far: part of each key, so that no key comes twice.
    slices: u32,
}

/// The parts of a request that are always the same.
#[derive(Debug)]
struct Forms {
    uri: Uri,
    host: HeaderValue,
    tokens: Vec<HeaderValue>,
}

impl Load {
    /// Registers the customers.
    pub async fn prepare(platform: &Platform) -> Result<Self> {
        let host = platform.url("gateway")?.trim_start_matches("http://").to_owned();
        let mut customers = Vec::with_capacity(CUSTOMERS);
        for number in 0..CUSTOMERS {
            customers.push(Customer::register(platform, &format!("load-{number}@example.com")).await?);
        }
        let forms = Arc::new(Forms::of(&host, &customers)?);
        let gateway = host.parse().context("the gateway listens on no address")?;
        let fresh_until = Instant::now() + TOKENS_FRESH;
        Ok(Self { gateway, customers, forms, journal: Journal::create()?, acknowledged: 0, fresh_until, slices: 0 })
    }

    /// Opens a connection for each of so many clients, and logs the customers in again if they have to. Apart from
    /// [`Clients::order`], so that it is in nobody's time.
    pub async fn clients(&mut self, count: u16, basket: Basket, door: Door) -> Result<Clients> {
        self.clients_at(self.gateway, count, basket, door).await
    }

    /// The same, who order at another address.
    pub async fn clients_at(&mut self, gateway: SocketAddr, count: u16, basket: Basket, door: Door) -> Result<Clients> {
        if Instant::now() > self.fresh_until {
            for customer in &mut self.customers {
                customer.log_in().await?;
            }
            self.forms = Arc::new(Forms::of(&self.gateway.to_string(), &self.customers)?);
            self.fresh_until = Instant::now() + TOKENS_FRESH;
        }
        self.slices += 1;
        let mut connections = Vec::with_capacity(count.into());
        for _ in 0..count {
            connections.push(connect(gateway).await?);
        }
        let (forms, slice) = (self.forms.clone(), self.slices);
        Ok(Clients { gateway, connections, basket, door, forms, slice })
    }

    /// Writes down what the platform has acknowledged.
    pub fn write_down(&mut self, acknowledged: &Acknowledged) -> Result<()> {
        for &(number, order_id) in &acknowledged.orders {
            let customer = &self.customers[turn(number, self.customers.len())];
            let (key, status) = (key(acknowledged.slice, number), acknowledged.door.taken());
            self.journal.write(customer.id(), order_id, &key, status)?;
            self.acknowledged += 1;
        }
        Ok(())
    }

    /// Who orders.
    pub fn customers(&self) -> Vec<Uuid> {
        self.customers.iter().map(Customer::id).collect()
    }

    /// How many orders were written down.
    pub fn acknowledged(&self) -> i64 {
        self.acknowledged
    }

    /// The file with all that was written down, as `postbox audit --journal` takes it.
    pub fn journal(&mut self) -> Result<&Path> {
        self.journal.path()
    }
}

/// The orders of a slice that were taken.
#[derive(Debug)]
pub struct Acknowledged {
    slice: u32,
    door: Door,
    /// By their number in the slice.
    orders: Vec<(u64, Uuid)>,
}

impl Forms {
    fn of(host: &str, customers: &[Customer]) -> Result<Self> {
        let tokens = customers.iter().map(|customer| format!("Bearer {}", customer.token()).try_into());
        Ok(Self { uri: Uri::from_static("/v1/orders"), host: host.parse()?, tokens: tokens.collect::<Result<_, _>>()? })
    }
}

/// Clients with open connections, for one slice.
#[derive(Debug)]
pub struct Clients {
    gateway: SocketAddr,
    connections: Vec<SendRequest<Full<Bytes>>>,
    basket: Basket,
    door: Door,
    forms: Arc<Forms>,
    slice: u32,
}

impl Clients {
    /// Orders for so long. Gives what came of it, how long it was until the last answer, and what was acknowledged.
    pub async fn order(self, pace: Pace, length: Duration) -> Result<(Tally, Duration, Acknowledged)> {
        let departures = Arc::new(Departures::begin(pace, length));
        let mut clients = JoinSet::new();
        for connection in self.connections {
            let (gateway, basket, door, slice) = (self.gateway, self.basket, self.door, self.slice);
            let (form, forms) = (Form::of(basket), self.forms.clone());
            let client = Client { gateway, connection, basket, form, door, forms, slice };
            clients.spawn(client.order(departures.clone()));
        }
        let (mut tally, mut orders) = (Tally::default(), Vec::new());
        while let Some(client) = clients.join_next().await {
            let (counted, acknowledged) = client??;
            tally.add(counted);
            orders.extend(acknowledged);
        }
        Ok((tally, departures.elapsed(), Acknowledged { slice: self.slice, door: self.door, orders }))
    }
}

struct Client {
    gateway: SocketAddr,
    connection: SendRequest<Full<Bytes>>,
    basket: Basket,
    form: Form,
    door: Door,
    forms: Arc<Forms>,
    slice: u32,
}

impl Client {
    async fn order(mut self, departures: Arc<Departures>) -> Result<(Tally, Vec<(u64, Uuid)>)> {
        let (mut tally, mut acknowledged) = (Tally::default(), Vec::new());
        while let Some(departure) = departures.next().await {
            let request = self.request(departure.number);
            match self.send(request).await {
                Ok((status, order_id)) if status == self.door.taken() => {
                    tally.taken(departure.due);
                    let order_id = order_id.with_context(|| format!("a {status} that names no order"))?;
                    acknowledged.push((departure.number, order_id));
                }
                Ok((status, _)) => {
                    tally.not_taken(status.as_u16());
                    tokio::time::sleep(REFUSED).await;
                }
                Err(_) => {
                    tally.not_taken(NO_ANSWER);
                    tokio::time::sleep(REFUSED).await;
                    self.connection = connect(self.gateway).await?;
                }
            }
        }
        Ok((tally, acknowledged))
    }

    fn request(&self, number: u64) -> Request<Full<Bytes>> {
        let chance = chance::of(number ^ u64::from(self.slice) << 40);
        let first = if self.basket == Basket::OneHot { 0 } else { chance % PRODUCTS };
        // never the first again: no product may be in two lines
        let (others, step) = (PRODUCTS - 1, (chance >> 32) % (PRODUCTS - 1));
        let next = |line: u64| (first + 1 + (step + line) % others) % PRODUCTS;
        let body = self.form.filled(std::iter::once(first).chain((0..others).map(next)));
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.forms.uri.clone();
        let headers = request.headers_mut();
        headers.reserve(6);
        let turn = turn(number, self.forms.tokens.len());
        headers.insert(HOST, self.forms.host.clone());
        headers.insert(AUTHORIZATION, self.forms.tokens[turn].clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_bytes(&key(self.slice, number)).expect("letters and digits"));
        if self.door == Door::Letter {
            headers.insert(PREFER, HeaderValue::from_static("respond-async"));
        }
        request
    }

    /// The status, and the order that the answer names.
    async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<(StatusCode, Option<Uuid>)> {
        // until the answer before is done with
        self.connection.ready().await?;
        let mut answer = self.connection.send_request(request).await?;
        let mut order_id = None;
        while let Some(frame) = answer.body_mut().frame().await {
            let frame = frame?;
            order_id = order_id.or_else(|| order_id_in(frame.data_ref()?));
        }
        Ok((answer.status(), order_id))
    }
}

/// What stands first in an answer about an order; nothing else of it is read.
fn order_id_in(body: &[u8]) -> Option<Uuid> {
    let (order_id, _) = body.strip_prefix(br#"{"order_id":""#)?.split_at_checked(36)?;
    Uuid::try_parse_ascii(order_id).ok()
}

/// Whose turn it is.
fn turn(number: u64, customers: usize) -> usize {
    usize::try_from(number).expect("64 bits fit") % customers
}

/// The Idempotency-Key of an order.
fn key(slice: u32, number: u64) -> [u8; 20] {
    let mut key = *b"bench-000-0000000000";
    put_digits(&mut key[6..9], slice.into());
    put_digits(&mut key[10..], number);
    key
}

/// A connection to a gateway.
pub async fn connect(gateway: SocketAddr) -> Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(gateway).await.context("the gateway takes no connection")?;
    stream.set_nodelay(true)?;
    let (requests, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // ends when `requests` is dropped; why it ended before, whoever sends is told
    tokio::spawn(connection);
    Ok(requests)
}

/// Writes a number, as many of its last digits as there is room for.
fn put_digits(room: &mut [u8], mut number: u64) {
    for digit in room.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).expect("a digit");
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digits_of_the_skus_are_where_they_are_put() {
        let read = |body: Vec<u8>| -> serde_json::Value { serde_json::from_slice(&body).expect("it is JSON") };
        let body = read(Form::of(Basket::SlowCard).filled([17, 1_999].into_iter()));
        assert_eq!([&body["lines"][0]["sku"], &body["lines"][1]["sku"]], ["sku-0017", "sku-1999"]);
        assert_eq!(body["payment"]["card_token"], "tok_slow_2s");
        let body = read(Form::of(Basket::Huge).filled(5..));
        assert_eq!((&body["lines"][99]["sku"], &body["lines"][100]), (&"sku-0104".into(), &serde_json::Value::Null));
    }
}
