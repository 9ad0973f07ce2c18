//! The other side of a connection, that does what a test tells it to. It speaks HTTP/2 by itself, so it can do what no server of
//! ours would.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use contracts::{
    inventory::v1::{GetProductRequest, ListProductsRequest, inventory_service_client::InventoryServiceClient},
    payment::v1::{GetPaymentRequest, payment_service_client::PaymentServiceClient},
    problem::ProblemCode,
};
use h2::Reason;
use rpc::Channel;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tonic::{Code, Status, codegen::http};

/// Longer than a call has to wait before it says anything about the one who does not answer.
pub const PATIENT: Duration = Duration::from_millis(700);

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Does {
    /// NOT_FOUND: as good an answer as any.
    Answers,
    /// UNAVAILABLE, as a service says it that has too much to do.
    Sheds,
    /// UNAVAILABLE, as a proxy says it that finds nobody behind it.
    FindsNobody,
    /// Nothing, for ever.
    Hangs,
    /// The call is thrown back.
    Resets,
}

/// A call that has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// `/package.Service/Method`
    pub path: String,
    /// As the header says.
    pub tries_before: Option<String>,
}

impl Call {
    /// Whether it is of this method.
    pub fn is(&self, method: &str) -> bool {
        self.path.ends_with(method)
    }
}

/// Answers when it is asked for its health, and does as it is told with all else. Its tasks end with it.
pub struct Peer {
    pub address: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
    _serving: JoinSet<()>,
}

type Rule = dyn Fn(&Call) -> Does + Send + Sync;

impl Peer {
    /// On some port.
    pub async fn start(rule: impl Fn(&Call) -> Does + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1:0".parse().expect("an address"), rule).await
    }

    /// At this address.
    pub async fn start_at(address: SocketAddr, rule: impl Fn(&Call) -> Does + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(address).await.expect("the port is free");
        let address = listener.local_addr().expect("it is bound");
        let (rule, calls): (Arc<Rule>, _) = (Arc::new(rule), Arc::<Mutex<Vec<Call>>>::default());
        let mut serving = JoinSet::new();
        serving.spawn({
            let calls = calls.clone();
            async move {
                let mut connections = JoinSet::new();
                while let Ok((stream, _)) = listener.accept().await {
                    connections.spawn(serve(stream, rule.clone(), calls.clone()));
                }
            }
        });
        Self { address, calls, _serving: serving }
    }

    /// A way to it.
    pub fn channel(&self) -> Channel {
        rpc::channel(&format!("http://{}", self.address)).expect("it is a URL")
    }

    /// What has come, in turn.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().expect("nobody panics with it").clone()
    }

    /// How many have come.
    pub fn count(&self) -> usize {
        self.calls.lock().expect("nobody panics with it").len()
    }
}

async fn serve(stream: TcpStream, rule: Arc<Rule>, calls: Arc<Mutex<Vec<Call>>>) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    let mut hanging = Vec::new();
    while let Some(Ok((request, mut answer))) = connection.accept().await {
        let path = request.uri().path().to_owned();
        if path.ends_with("/Check") {
            answer.send_response(http::Response::new(()), true).expect("it is there");
            continue;
        }
        let tries_before = request.headers().get("grpc-previous-rpc-attempts");
        let tries_before = tries_before.map(|value| value.to_str().expect("a number").to_owned());
        let call = Call { path, tries_before };
        let does = rule(&call);
        calls.lock().expect("nobody panics with it").push(call);
        let status = match does {
            Does::Answers => Status::not_found("it is never there"),
            Does::Sheds => rpc::status(ProblemCode::Unavailable, "every connection is busy"),
            Does::FindsNobody => Status::unavailable("no healthy upstream"),
            Does::Hangs => {
                hanging.push(answer);
                continue;
            }
            Does::Resets => {
                answer.send_reset(Reason::REFUSED_STREAM);
                continue;
            }
        };
        // the caller may have gone away
        let _ = answer.send_response(status.into_http::<()>(), true);
    }
}

/// NOT_FOUND is an answer.
pub fn answered<A: std::fmt::Debug>(told: Result<A, Status>) -> Result<(), Status> {
    let status = told.expect_err("nobody finds anything");
    if status.code() == Code::NotFound { Ok(()) } else { Err(status) }
}

/// A call that must not be repeated.
pub async fn once(channel: &Channel, budget: Duration) -> Result<(), Status> {
    let call = |request| {
        let mut inventory = InventoryServiceClient::new(channel.clone());
        async move { inventory.get_product(request).await }
    };
    answered(rpc::ask_once(budget, GetProductRequest::default(), call).await)
}

/// One of another method.
pub async fn other_once(channel: &Channel, budget: Duration) -> Result<(), Status> {
    let call = |request| {
        let mut inventory = InventoryServiceClient::new(channel.clone());
        async move { inventory.list_products(request).await }
    };
    answered(rpc::ask_once(budget, ListProductsRequest::default(), call).await)
}

/// One of another service.
pub async fn payment_once(channel: &Channel, budget: Duration) -> Result<(), Status> {
    let call = |request| {
        let mut payment = PaymentServiceClient::new(channel.clone());
        async move { payment.get_payment(request).await }
    };
    answered(rpc::ask_once(budget, GetPaymentRequest::default(), call).await)
}

/// A call that may be repeated.
pub async fn repeatable(channel: &Channel, budget: Duration) -> Result<(), Status> {
    let call = |request| {
        let mut inventory = InventoryServiceClient::new(channel.clone());
        async move { inventory.get_product(request).await }
    };
    answered(rpc::ask(budget, GetProductRequest::default(), call).await)
}
