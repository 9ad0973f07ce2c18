//! Who does not answer is not asked, and whoever answers is: when a circuit opens, when it does not, and when it closes.

mod peer;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::join_all;
use metrics_exporter_prometheus::PrometheusBuilder;
use peer::{Call, Does, PATIENT, Peer, once, other_once, payment_once, repeatable};
use rpc::Channel;
use tokio::net::TcpListener;
use tonic::Code;

/// So many calls in a row are lost before nobody is asked.
const LOST: usize = 5;

/// Some more.
const MANY: usize = 8;

/// Nothing is sent and nothing is waited for, not even for another try.
const AT_ONCE: Duration = Duration::from_millis(20);

/// Lets a peer hang until it is told to answer.
#[derive(Clone, Default)]
struct Cure(Arc<AtomicBool>);

impl Cure {
    fn rule(&self) -> impl Fn(&Call) -> Does + Send + Sync + 'static {
        let answers = self.0.clone();
        move |_| if answers.load(Ordering::Relaxed) { Does::Answers } else { Does::Hangs }
    }

    fn take(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Makes calls until nobody is asked any more. None of them is answered.
async fn give_up_on(channel: &Channel) {
    for told in join_all((0..MANY).map(|_| once(channel, PATIENT))).await {
        assert_eq!(told.expect_err("nobody answers").code(), Code::DeadlineExceeded);
    }
}

/// Calls are refused without being sent, but for one now and then. The fastest of some tells how soon: the machine may be busy.
async fn refused_at_once(channel: &Channel) {
    let mut fastest = Duration::MAX;
    for _ in 0..MANY {
        let began = Instant::now();
        let status = repeatable(channel, PATIENT).await.expect_err("nobody answers");
        if rpc::was_not_sent(&status) {
            assert_eq!(status.code(), Code::Unavailable, "{status:?}");
            fastest = fastest.min(began.elapsed());
        }
    }
    assert!(fastest < AT_ONCE, "after {fastest:?}");
}

#[tokio::test]
async fn calls_to_a_service_that_hangs_fail_at_once_and_soon_after_it_answers_none_does() {
    let cure = Cure::default();
    let peer = Peer::start(cure.rule()).await;
    let channel = peer.channel();
    give_up_on(&channel).await;

    let (began, before) = (Instant::now(), peer.count());
    let mut refused = 0;
    while began.elapsed() < Duration::from_secs(1) {
        // those that are let through wait for their deadlines, and hold up nobody
        match once(&channel, PATIENT).await {
            Err(status) if rpc::was_not_sent(&status) => refused += 1,
            Err(status) => assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}"),
            Ok(()) => panic!("it hangs"),
        }
    }
    let let_through = peer.count() - before;
    assert!(refused > 100 && (1..=5).contains(&let_through), "{refused} refused, {let_through} let through");

    cure.take();
    let cured = Instant::now();
    testkit::eventually(testkit::SOON, "a call is answered", async || once(&channel, PATIENT).await.is_ok()).await;
    assert!(cured.elapsed() < Duration::from_secs(2), "after {:?}", cured.elapsed());
    for told in join_all((0..100).map(|_| once(&channel, testkit::SOON))).await {
        told.expect("it answers");
    }
}

#[tokio::test]
async fn an_answer_that_says_no_opens_no_circuit() {
    for says_no in [Does::Answers, Does::Sheds] {
        let peer = Peer::start(move |_| says_no).await;
        let channel = peer.channel();
        for _ in 0..10 * MANY {
            let told = once(&channel, testkit::SOON).await;
            assert!(!told.is_err_and(|status| rpc::was_not_sent(&status)), "{says_no:?}");
        }
        assert_eq!(peer.count(), 10 * MANY, "{says_no:?}");
    }
}

#[tokio::test]
async fn a_proxy_that_finds_nobody_is_as_good_as_nobody() {
    for ends in [Does::FindsNobody, Does::Resets] {
        let peer = Peer::start(move |_| ends).await;
        let channel = peer.channel();
        for _ in 0..2 * MANY {
            let status = once(&channel, testkit::SOON).await.expect_err("nobody is there");
            assert_eq!(status.code(), Code::Unavailable, "{ends:?}: {status:?}");
        }
        refused_at_once(&channel).await;
        assert!(peer.count() < MANY, "{ends:?}: {} calls", peer.count());
    }
}

#[tokio::test]
async fn a_method_that_is_slow_by_nature_opens_no_circuit_for_the_others() {
    let peer = Peer::start(|call| if call.is("/GetProduct") { Does::Hangs } else { Does::Answers }).await;
    let channel = peer.channel();
    let slow = join_all((0..3 * MANY).map(|_| once(&channel, PATIENT)));
    let others = async {
        let until = Instant::now() + 3 * PATIENT;
        while Instant::now() < until {
            other_once(&channel, testkit::SOON).await.expect("it is answered");
        }
    };
    let (slow, ()) = tokio::join!(slow, others);
    for told in slow {
        assert_eq!(told.expect_err("it takes too long").code(), Code::DeadlineExceeded);
    }
}

#[tokio::test]
async fn callers_that_had_hardly_any_time_open_no_circuit() {
    let cure = Cure::default();
    let peer = Peer::start(cure.rule()).await;
    let channel = peer.channel();
    testkit::eventually(testkit::SOON, "a call reaches it", async || {
        let _ = once(&channel, Duration::from_millis(20)).await;
        peer.count() > 0
    })
    .await;
    join_all((0..5 * MANY).map(|_| once(&channel, Duration::from_millis(20)))).await;
    cure.take();
    once(&channel, testkit::SOON).await.expect("it is asked, and answers");
}

#[tokio::test]
async fn a_service_beside_one_that_hangs_is_not_touched() {
    let (hangs, answers) = (Peer::start(|_| Does::Hangs).await, Peer::start(|_| Does::Answers).await);
    let (to_hanging, to_answering) = (hangs.channel(), answers.channel());
    give_up_on(&to_hanging).await;
    refused_at_once(&to_hanging).await;
    for _ in 0..MANY {
        once(&to_answering, testkit::SOON).await.expect("it answers");
    }
    assert_eq!(answers.count(), MANY);
}

#[tokio::test]
async fn of_two_addresses_of_a_name_the_one_that_hangs_is_left_alone_and_calls_go_on() {
    let [first] = testkit::free_addresses();
    let addresses: [SocketAddr; 2] = [1, 2].map(|last| (Ipv4Addr::new(127, 0, 0, last), first.port()).into());
    let answers = Peer::start_at(addresses[0], |_| Does::Answers).await;
    let hangs = Peer::start_at(addresses[1], |_| Does::Hangs).await;
    let look_up = move || async move { io::Result::Ok(addresses.to_vec()) };
    let channel = rpc::Tls::off().channel_found_by("http://pods.test:80", look_up).expect("it is a URL");
    testkit::eventually(testkit::SOON, "both are asked", async || {
        join_all((0..MANY).map(|_| once(&channel, PATIENT))).await;
        hangs.count() >= LOST
    })
    .await;
    let (before, began) = (hangs.count(), Instant::now());
    let mut lost = 0;
    while began.elapsed() < Duration::from_secs(2) {
        let told = once(&channel, PATIENT).await;
        assert!(!told.as_ref().is_err_and(rpc::was_not_sent), "one of them answers: {told:?}");
        lost += usize::from(told.is_err());
    }
    assert!(lost <= 1, "{lost} calls were lost");
    assert!(hangs.count() - before <= 1, "{} calls", hangs.count() - before);
    assert!(answers.count() > 100, "{} calls", answers.count());
}

#[tokio::test]
async fn calls_to_a_service_that_cannot_be_reached_fail_at_once_and_soon_after_it_listens_none_does() {
    let [address] = testkit::free_addresses();
    // as of a machine that swallows packets: connecting takes as long as it may
    let swallows = TcpListener::bind(address).await.expect("it is free");
    let channel = rpc::channel(&format!("http://{address}")).expect("it is a URL");
    let began = Instant::now();
    for told in join_all((0..MANY).map(|_| once(&channel, testkit::SOON))).await {
        assert_eq!(told.expect_err("nobody is there").code(), Code::Unavailable);
    }
    assert!(began.elapsed() > 5 * AT_ONCE, "they have waited for a connection");
    refused_at_once(&channel).await;
    drop(swallows);
    let _peer = Peer::start_at(address, |_| Does::Answers).await;
    let listens = Instant::now();
    testkit::eventually(testkit::SOON, "a call is answered", async || once(&channel, PATIENT).await.is_ok()).await;
    assert!(listens.elapsed() < Duration::from_secs(3), "after {:?}", listens.elapsed());
}

#[tokio::test]
async fn a_circuit_is_told_by_a_metric() {
    let metrics = PrometheusBuilder::new().install_recorder().expect("no other test has one");
    let circuit = || {
        let page = metrics.render();
        let line =
            page.lines().find(|line| line.starts_with(r#"rpc_circuit{rpc_service="payment.v1.PaymentService"}"#));
        line.and_then(|line| line.rsplit(' ').next()).map(str::to_owned)
    };
    let cure = Cure::default();
    let peer = Peer::start(cure.rule()).await;
    let channel = peer.channel();
    join_all((0..MANY).map(|_| payment_once(&channel, PATIENT))).await;
    assert_eq!(circuit().as_deref(), Some("0"), "nobody was refused yet");
    testkit::eventually(testkit::SOON, "a call is refused", async || {
        payment_once(&channel, PATIENT).await.is_err_and(|status| rpc::was_not_sent(&status))
    })
    .await;
    assert_eq!(circuit().as_deref(), Some("1"));
    cure.take();
    testkit::eventually(testkit::SOON, "it answers", async || payment_once(&channel, PATIENT).await.is_ok()).await;
    assert_eq!(circuit().as_deref(), Some("0"));
}
