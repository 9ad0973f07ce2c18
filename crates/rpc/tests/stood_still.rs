//! A service that stood still for a moment takes up its calls again, whatever its callers have given up meanwhile.

use std::{
    net::SocketAddr,
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::Duration,
};

use rpc::Channel;
use service_runtime::Shutdown;
use tonic::{Code, Response, Status};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_client::HealthClient};

/// More than HTTP/2 libraries put up with by default (20), fewer than a gateway has under way.
const GIVEN_UP: usize = 200;

/// A service on a thread of its own, which can be made to stand still.
struct Service {
    halt: Sender<()>,
    halted: Receiver<()>,
    go_on: Sender<()>,
}

impl Service {
    fn start(address: SocketAddr) -> Self {
        let (halt, told) = channel::<()>();
        let (halting, halted) = channel();
        let (go_on, going_on) = channel::<()>();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let shutdown = Shutdown::new();
                let serving =
                    tokio::spawn(async move { rpc::server::serve(address, rpc::Served::nothing(), &shutdown).await });
                while !serving.is_finished() {
                    if told.try_recv().is_ok() {
                        // the whole runtime stands still with this thread
                        let _ = halting.send(());
                        let _ = going_on.recv();
                    }
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            });
        });
        Self { halt, halted, go_on }
    }
}

async fn ask(channel: &Channel, budget: Duration) -> Result<HealthCheckResponse, Status> {
    rpc::ask_once(budget, HealthCheckRequest::default(), |request| {
        let mut health = HealthClient::new(channel.clone());
        async move { health.check(request).await.map(|answer| Response::new(answer.into_inner())) }
    })
    .await
}

#[tokio::test]
async fn calls_that_were_given_up_while_a_service_stood_still_cut_off_no_other() {
    let [address] = testkit::free_addresses();
    let service = Service::start(address);
    let channel = rpc::channel(&format!("http://{address}")).expect("it is a URL");
    testkit::eventually(testkit::SOON, "it answers", async || ask(&channel, Duration::from_secs(1)).await.is_ok())
        .await;

    service.halt.send(()).expect("it runs");
    service.halted.recv().expect("it stands still");
    let asking = (0..GIVEN_UP).map(|_| {
        let channel = channel.clone();
        tokio::spawn(async move { ask(&channel, Duration::from_millis(300)).await })
    });
    for given_up in asking.collect::<Vec<_>>() {
        let status = given_up.await.expect("asking does not panic").expect_err("nobody answers");
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    }
    let patient = tokio::spawn({
        let channel = channel.clone();
        async move { ask(&channel, testkit::SOON).await }
    });
    service.go_on.send(()).expect("it waits");
    patient.await.expect("asking does not panic").expect("who waits is answered");
}
