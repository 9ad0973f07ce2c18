//! Calls to a name that has several addresses: who gets them while services come, leave and die.
//!
//! Each service is a real one on an address of 127.0.0.0/8, all on the same port, as the pods of a Service are.

use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use contracts::inventory::v1::{GetProductRequest, inventory_service_client::InventoryServiceClient};
use rpc::Channel;
use service_runtime::Shutdown;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
    sync::Semaphore,
    task::JoinSet,
};
use tonic::{
    Code, Status,
    body::Body,
    codegen::{
        BoxFuture, Service,
        http::{Request, Response},
    },
    server::NamedService,
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

/// Longer than two lookups are apart.
const BUDGET: Duration = Duration::from_secs(30);

/// Enough calls to see who gets them.
const ROUND: usize = 20;

/// The addresses that the name has, which a test changes.
#[derive(Clone, Default)]
struct Name(Arc<Mutex<Vec<SocketAddr>>>);

impl Name {
    fn of(addresses: &[SocketAddr]) -> Self {
        let name = Self::default();
        name.has(addresses);
        name
    }

    fn has(&self, addresses: &[SocketAddr]) {
        *self.0.lock().expect("nobody panics with it") = addresses.to_vec();
    }

    /// Whether anybody still looks it up.
    fn is_followed(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    fn channel(&self) -> Channel {
        let name = self.clone();
        let look_up = move || {
            let found = name.0.lock().expect("nobody panics with it").clone();
            async move { if found.is_empty() { Err(io::Error::other("no such name")) } else { Ok(found) } }
        };
        rpc::Tls::off().channel_found_by("http://pods.test:80", look_up).expect("it is a URL")
    }
}

/// Addresses with one free port: 127.0.0.1, 127.0.0.2 and so on.
fn addresses<const COUNT: usize>() -> [SocketAddr; COUNT] {
    let [first] = testkit::free_addresses();
    std::array::from_fn(|index| {
        let last = u8::try_from(index + 1).expect("a test needs few addresses");
        (Ipv4Addr::new(127, 0, 0, last), first.port()).into()
    })
}

/// Says of each call who took it: NOT_FOUND, with its address. Waits for a permit before.
#[derive(Clone)]
struct Desk {
    address: SocketAddr,
    permits: Arc<Semaphore>,
}

impl NamedService for Desk {
    const NAME: &'static str = "inventory.v1.InventoryService";
}

impl Service<Request<Body>> for Desk {
    type Response = Response<Body>;
    type Error = std::convert::Infallible;
    type Future = BoxFuture<Response<Body>, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        let desk = self.clone();
        Box::pin(async move {
            let _permit = desk.permits.acquire().await.expect("it is never closed");
            Ok(Status::not_found(desk.address.to_string()).into_http())
        })
    }
}

/// A service on a runtime of its own, so that it can be killed with all its connections.
struct Pod {
    address: SocketAddr,
    shutdown: Shutdown,
    permits: Arc<Semaphore>,
    runtime: Option<Runtime>,
}

impl Pod {
    async fn start(address: SocketAddr) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let shutdown = Shutdown::new();
        let permits = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
        let desk = Desk { address, permits: permits.clone() };
        let until = shutdown.clone();
        runtime.spawn(async move { rpc::server::serve(address, rpc::Served::new(desk), &until).await });
        let pod = Self { address, shutdown, permits, runtime: Some(runtime) };
        testkit::eventually(testkit::SOON, "it listens", async || TcpStream::connect(address).await.is_ok()).await;
        pod
    }

    /// As kill -9 does.
    fn kill(&mut self) {
        self.runtime.take().expect("it is killed once").shutdown_background();
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Whom `answered` comes from.
fn taken_by(answered: Result<impl std::fmt::Debug, Status>) -> Result<SocketAddr, Status> {
    let status = answered.expect_err("nobody finds anything");
    if status.code() == Code::NotFound { Ok(status.message().parse().expect("an address")) } else { Err(status) }
}

/// A call that must not be repeated.
async fn once(channel: &Channel) -> Result<SocketAddr, Status> {
    let call = |request| {
        let mut desk = InventoryServiceClient::new(channel.clone());
        async move { desk.get_product(request).await }
    };
    taken_by(rpc::ask_once(BUDGET, GetProductRequest { sku: "mug".to_owned() }, call).await)
}

/// A call that may be repeated.
async fn repeatable(channel: &Channel) -> Result<SocketAddr, Status> {
    let call = |request| {
        let mut desk = InventoryServiceClient::new(channel.clone());
        async move { desk.get_product(request).await }
    };
    taken_by(rpc::ask(BUDGET, GetProductRequest { sku: "mug".to_owned() }, call).await)
}

/// Who took how many of a round of calls that must not be repeated. None of them may fail.
async fn round(channel: &Channel) -> BTreeMap<SocketAddr, usize> {
    let mut taken = BTreeMap::new();
    for _ in 0..ROUND {
        let by = once(channel).await.unwrap_or_else(|status| panic!("a call failed: {status:?}"));
        *taken.entry(by).or_default() += 1;
    }
    taken
}

/// Eight askers at once, each 200 times in a row. A call that fails panics, at the latest where they are joined.
fn all_the_time<F>(channel: &Channel, ask: fn(Channel) -> F) -> JoinSet<()>
where
    F: Future<Output = Result<SocketAddr, Status>> + Send + 'static,
{
    let mut asking = JoinSet::new();
    for asker in 0..8 {
        let channel = channel.clone();
        asking.spawn(async move {
            for call in 0..200 {
                let answer = ask(channel.clone()).await;
                answer.unwrap_or_else(|status| panic!("call {call} of {asker} failed: {status:?}"));
            }
        });
    }
    asking
}

/// Waits until this one takes calls as well.
async fn shared_at_last(channel: &Channel, address: SocketAddr) {
    let what = format!("{address} takes calls");
    testkit::eventually(testkit::SOON, &what, async || once(channel).await.is_ok_and(|by| by == address)).await;
}

/// Waits until each of these takes its part of a round, and nobody else any.
async fn shared_by(channel: &Channel, addresses: &[SocketAddr]) {
    let what = format!("{addresses:?} and nobody else take calls");
    testkit::eventually(testkit::SOON, &what, async || {
        let taken = round(channel).await;
        let even = ROUND / addresses.len();
        taken.len() == addresses.len() && addresses.iter().all(|address| taken.get(address) == Some(&even))
    })
    .await;
}

/// Lets `pod` answer nobody until it is given permits, and brings one call to it. `channel` leads to it and to another.
async fn hold_one(pod: &Pod, channel: &Channel) -> JoinSet<Result<SocketAddr, Status>> {
    pod.permits.forget_permits(Semaphore::MAX_PERMITS);
    let mut asked = JoinSet::new();
    for _ in 0..2 {
        let channel = channel.clone();
        asked.spawn(async move { once(&channel).await });
    }
    // of two at once each takes one, and the other one is answered
    let answered = asked.join_next().await.expect("two were asked").expect("asking does not panic");
    assert_ne!(answered.expect("it is answered"), pod.address);
    asked
}

#[tokio::test]
async fn every_address_of_a_name_takes_its_part_of_the_calls() {
    let both = addresses::<2>();
    let _pods = (Pod::start(both[0]).await, Pod::start(both[1]).await);
    shared_by(&Name::of(&both).channel(), &both).await;
}

#[tokio::test]
async fn an_address_that_joins_the_name_takes_calls() {
    let both = addresses::<2>();
    let name = Name::of(&both[..1]);
    let channel = name.channel();
    let _first = Pod::start(both[0]).await;
    shared_by(&channel, &both[..1]).await;
    let _second = Pod::start(both[1]).await;
    name.has(&both);
    shared_by(&channel, &both).await;
}

#[tokio::test]
async fn an_address_that_leaves_the_name_takes_no_call() {
    let both = addresses::<2>();
    let name = Name::of(&both);
    let _pods = (Pod::start(both[0]).await, Pod::start(both[1]).await);
    let channel = name.channel();
    shared_by(&channel, &both).await;
    name.has(&both[..1]);
    shared_by(&channel, &both[..1]).await;
}

#[tokio::test]
async fn a_call_under_way_on_an_address_that_leaves_the_name_is_answered() {
    let [stays, leaves, joins] = addresses::<3>();
    let name = Name::of(&[stays, leaves]);
    let (_stays, left, _joins) = (Pod::start(stays).await, Pod::start(leaves).await, Pod::start(joins).await);
    let channel = name.channel();
    shared_by(&channel, &[stays, leaves]).await;
    let mut held = hold_one(&left, &channel).await;
    name.has(&[stays, joins]);
    // heeded at once for both
    shared_at_last(&channel, joins).await;
    left.permits.add_permits(ROUND);
    let answered = held.join_next().await.expect("one is held").expect("asking does not panic");
    assert_eq!(answered.expect("it is answered"), leaves);
}

#[tokio::test]
async fn the_one_with_less_to_do_takes_the_call() {
    let both = addresses::<2>();
    let (_free, busy) = (Pod::start(both[0]).await, Pod::start(both[1]).await);
    let channel = Name::of(&both).channel();
    shared_by(&channel, &both).await;
    let _held = hold_one(&busy, &channel).await;
    assert_eq!(round(&channel).await, BTreeMap::from([(both[0], ROUND)]));
}

#[tokio::test]
async fn when_one_of_two_is_killed_no_call_that_may_be_repeated_fails() {
    let both = addresses::<2>();
    let (_lives, mut dies) = (Pod::start(both[0]).await, Pod::start(both[1]).await);
    let channel = Name::of(&both).channel();
    shared_by(&channel, &both).await;
    let asking = all_the_time(&channel, |channel| async move { repeatable(&channel).await });
    // in the middle of it
    repeatable(&channel).await.expect("it is answered");
    dies.kill();
    asking.join_all().await;
    assert_eq!(round(&channel).await, BTreeMap::from([(both[0], ROUND)]));
}

#[tokio::test]
async fn an_address_that_accepts_and_says_nothing_gets_no_call() {
    let both = addresses::<2>();
    let _speaks = Pod::start(both[0]).await;
    // as of a process that stands still: its kernel goes on accepting
    let _silent = TcpListener::bind(both[1]).await.expect("it is free");
    let channel = Name::of(&both).channel();
    shared_by(&channel, &both[..1]).await;
    assert_eq!(round(&channel).await, BTreeMap::from([(both[0], ROUND)]));
}

#[tokio::test]
async fn when_one_of_two_ends_in_order_no_call_fails() {
    let both = addresses::<2>();
    let (_stays, ends) = (Pod::start(both[0]).await, Pod::start(both[1]).await);
    let channel = Name::of(&both).channel();
    shared_by(&channel, &both).await;
    let asking = all_the_time(&channel, |channel| async move { once(&channel).await });
    once(&channel).await.expect("it is answered");
    ends.shutdown.request();
    asking.join_all().await;
    assert_eq!(round(&channel).await, BTreeMap::from([(both[0], ROUND)]));
}

#[tokio::test]
async fn a_call_that_meets_a_connection_that_is_ending_goes_to_another() {
    let both = addresses::<2>();
    let name = Name::of(&both[..1]);
    let (_stays, ends) = (Pod::start(both[0]).await, Pod::start(both[1]).await);
    let channel = name.channel();
    // who is watched has something to do, and his connection does not end at once
    let watch = async || HealthClient::new(channel.clone()).watch(HealthCheckRequest::default()).await;
    let _two_on_the_first = (watch().await.expect("it is answered"), watch().await.expect("it is answered"));
    name.has(&both);
    shared_at_last(&channel, both[1]).await;
    let _one_on_the_second = watch().await.expect("it is answered");
    ends.shutdown.request();
    testkit::eventually(testkit::SOON, "it takes nobody", async || TcpStream::connect(both[1]).await.is_err()).await;
    for _ in 0..ROUND {
        once(&channel).await.expect("it is answered");
    }
}

#[tokio::test]
async fn a_dead_address_takes_no_call_that_must_not_be_repeated_until_it_lives_again() {
    let both = addresses::<2>();
    let _lives = Pod::start(both[0]).await;
    let channel = Name::of(&both).channel();
    assert_eq!(round(&channel).await, BTreeMap::from([(both[0], ROUND)]));
    let _risen = Pod::start(both[1]).await;
    shared_by(&channel, &both).await;
}

#[tokio::test]
async fn where_nobody_answers_a_call_is_unavailable_long_before_its_deadline() {
    let both = addresses::<2>();
    let channel = Name::of(&both).channel();
    let nameless = Name::default().channel();
    let endless = rpc::Tls::off().channel_found_by("http://pods.test:80", std::future::pending).expect("it is a URL");
    let [refused, unknown, late] = ["refused", "no such name", "no connection in"];
    let round = [(&channel, refused), (&nameless, unknown), (&endless, late)];
    for (channel, why) in round.into_iter().chain(round) {
        let began = Instant::now();
        let status = once(channel).await.expect_err("nobody is there");
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        assert!(status.message().contains(why), "{status:?}");
        assert!(began.elapsed() < BUDGET / 10, "after {:?}: {status:?}", began.elapsed());
    }
    let _risen = Pod::start(both[0]).await;
    assert_eq!(repeatable(&channel).await.expect("somebody is there"), both[0]);
}

#[tokio::test]
async fn a_name_is_followed_as_long_as_somebody_may_call() {
    let name = Name::of(&addresses::<1>());
    let channel = name.channel();
    let clone = channel.clone();
    drop(channel);
    testkit::eventually(testkit::SOON, "the clone fails to reach anybody", async || once(&clone).await.is_err()).await;
    assert!(name.is_followed());
    drop(clone);
    testkit::eventually(testkit::SOON, "nobody follows the name", async || !name.is_followed()).await;
}
