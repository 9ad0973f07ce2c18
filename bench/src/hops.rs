//! What an order by itself takes, beside the least that it could: its commits one after another, and its hops, each as long as a
//! request or a call that does nothing.

use std::{net::SocketAddr, ops::Range, time::Duration};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::{
    Request, StatusCode,
    header::{AUTHORIZATION, HOST},
};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use tokio::time::Instant;
use tonic::transport::Channel;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::{
    figure::Figures,
    load::{self, Basket},
    orders::Customer,
    platform::{self, Platform},
    side::{Sides, Way},
    slice::{Pace, Tally},
    turns::Turns,
};

/// An order is committed, its stock reserved, its payment begun, the card network's word kept, and the order confirmed.
const COMMITS: u32 = 5;

/// And as many are in P3.
const COMMITS_OF_P3: u32 = 3;

/// From gateway to order, from order to inventory and to payment, and from payment to the card network.
const CALLS: u32 = 4;

/// What delayed acknowledgements of TCP add to an answer: 40 ms, and a little less or more.
const DELAYED: Range<Duration> = Duration::from_millis(38)..Duration::from_millis(45);

/// One at a time, of everything.
pub async fn measure(turns: Turns, figures: &mut Figures) -> Result<()> {
    platform::under_load(async |platform| measure_on(platform, turns, figures).await).await
}

async fn measure_on(platform: &Platform, turns: Turns, figures: &mut Figures) -> Result<()> {
    let mut sides = Sides::prepare(platform).await?;
    platform.analyze().await?;
    sides.warm_up().await?;
    let mut requests = Requests::open(platform).await?;
    let mut calls = Calls::open(platform).await?;
    for _ in turns.cycles() {
        let length = turns.length();
        let mut p3 = sides.ceiling(Way::P3, 1, Pace::Closed, length).await?;
        let (request, call) = (requests.p50(length).await?, calls.p50(length).await?);
        let mut order = sides.stack(1, Basket::All, Pace::Closed, length).await?;
        let ([p3], [answer]) = (p3.tally.quantiles([0.5]), order.tally.quantiles([0.5]));
        let least = p3 * COMMITS / COMMITS_OF_P3 + CALLS * call + request;
        figures.milliseconds("P3, 1 client: answer p50", p3);
        figures.milliseconds("gateway, a request that needs nothing: p50", request);
        figures.milliseconds("gRPC, a call that needs nothing: p50", call);
        figures.times(
            "gateway, a request that needs nothing: p50, against gRPC",
            request.as_secs_f64() / call.as_secs_f64(),
        );
        figures.milliseconds("one order, its commits and hops: p50", least);
        figures.milliseconds("one order, nobody else there: answer p50", answer);
        figures.times(
            "stack, 1 in flight: answer p50, against its commits and hops",
            answer.as_secs_f64() / least.as_secs_f64(),
        );
        let delayed = order.tally.within(DELAYED);
        figures.pieces("stack, 1 in flight: answers of 38 to 45 ms", delayed.into(), order.tally.orders());
    }
    sides.audit().await
}

/// Requests that gateway looks at as at any other, token and all, and answers itself: no order has such an id.
struct Requests {
    connection: SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
}

impl Requests {
    async fn open(platform: &Platform) -> Result<Self> {
        let host = platform.url("gateway")?.trim_start_matches("http://");
        let address: SocketAddr = host.parse().context("the gateway listens on no address")?;
        let customer = Customer::register(platform, "hops@example.com").await?;
        let request = Request::get("/v1/orders/none")
            .header(HOST, host)
            .header(AUTHORIZATION, format!("Bearer {}", customer.token()))
            .body(Full::default())?;
        Ok(Self { connection: load::connect(address).await?, request })
    }

    async fn p50(&mut self, length: Duration) -> Result<Duration> {
        p50(length, async || {
            self.connection.ready().await?;
            let answer = self.connection.send_request(self.request.clone()).await?;
            ensure!(answer.status() == StatusCode::NOT_FOUND, "{} in the place of a 404", answer.status());
            answer.into_body().collect().await?;
            Ok(())
        })
        .await
    }
}

/// Calls that order answers without looking at anything: those about its health.
struct Calls(HealthClient<Channel>);

impl Calls {
    async fn open(platform: &Platform) -> Result<Self> {
        let channel = Channel::from_shared(platform.url("order")?.to_owned())?.tcp_nodelay(true).connect().await?;
        Ok(Self(HealthClient::new(channel)))
    }

    async fn p50(&mut self, length: Duration) -> Result<Duration> {
        p50(length, async || {
            self.0.check(HealthCheckRequest::default()).await?;
            Ok(())
        })
        .await
    }
}

/// Asks for so long, one question after another.
async fn p50(length: Duration, mut ask: impl AsyncFnMut() -> Result<()>) -> Result<Duration> {
    let (began, mut tally) = (Instant::now(), Tally::default());
    while began.elapsed() < length {
        let asked = Instant::now();
        ask().await?;
        tally.taken(asked);
    }
    let [p50] = tally.quantiles([0.5]);
    Ok(p50)
}
