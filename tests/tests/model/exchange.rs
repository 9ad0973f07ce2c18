//! The exchange: every call between services, to order and to the card network passes here, so that one can be lost, or held
//! back until the story wants it.
//!
//! A call is read whole and then lives on its own: it arrives even if its caller has hung up or died meanwhile, as on a real
//! network. The services' routes are called directly, each on the runtime of its process: if that dies, so does the call.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
};
use http_body_util::BodyExt;
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
};
use tonic::Status;
use tower::ServiceExt;

/// What becomes of a call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It never arrives.
    RequestLost,
    /// It arrives and has its effect; the caller never learns.
    AnswerLost,
    /// It arrives when it is let go.
    RequestHeld,
    /// It arrives, and is answered when it is let go.
    AnswerHeld,
}

/// Where all calls pass.
#[derive(Clone)]
pub struct Exchange {
    desks: Arc<Mutex<HashMap<&'static str, Desk>>>,
    watch: Arc<Mutex<Watch>>,
    held: mpsc::UnboundedSender<HeldCall>,
}

/// Who answers the calls to a service.
#[derive(Clone)]
struct Desk {
    runtime: Handle,
    routes: Router,
}

/// What happens in the present step.
#[derive(Default)]
struct Watch {
    /// So many calls pass, then one has this fate.
    trouble: Option<(u8, Fate)>,
    story: Vec<String>,
}

/// A call that waits to be let go.
pub struct HeldCall {
    pub name: String,
    let_go: oneshot::Sender<()>,
    over: oneshot::Receiver<()>,
}

impl HeldCall {
    /// Lets it go, and waits until it has arrived.
    pub async fn let_go(self) {
        // an error is that its process has died, which is an end as well
        let _ = self.let_go.send(());
        let _ = self.over.await;
    }
}

impl Exchange {
    /// An exchange without desks, and the calls that it holds.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<HeldCall>) {
        let (held, held_calls) = mpsc::unbounded_channel();
        (Self { desks: Arc::default(), watch: Arc::default(), held }, held_calls)
    }

    /// From now on this process answers for `service`.
    pub fn open(&self, service: &'static str, runtime: Handle, routes: Router) {
        self.desks.lock().unwrap().insert(service, Desk { runtime, routes });
    }

    /// Nobody answers for `service`.
    pub fn close(&self, service: &str) {
        self.desks.lock().unwrap().remove(service);
    }

    /// After so many further calls, one meets this fate.
    pub fn expect(&self, trouble: Option<(u8, Fate)>) {
        self.watch.lock().unwrap().trouble = trouble;
    }

    /// What happened to calls since this was asked last.
    pub fn take_story(&self) -> Vec<String> {
        std::mem::take(&mut self.watch.lock().unwrap().story)
    }

    /// Takes every call, whatever its path.
    pub fn routes(&self) -> Router {
        Router::new().fallback(take).with_state(self.clone())
    }

    async fn carry(self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let name = name(parts.uri.path());
        let service = service(parts.uri.path());
        // a caller that dies while it speaks has not called
        let Ok(body) = body.collect().await else { return lost(service) };
        let request = Request::from_parts(parts, Body::from(body.to_bytes()));
        let fate = self.fate(&name);
        // dropped when the call is over, which tells whoever let it go
        let (_over, over) = oneshot::channel();
        let held = if matches!(fate, Some(Fate::RequestHeld | Fate::AnswerHeld)) {
            let (let_go, gone) = oneshot::channel();
            let held = HeldCall { name, let_go, over };
            Some((held, gone))
        } else {
            None
        };
        match (fate, held) {
            (Some(Fate::RequestLost), _) => lost(service),
            (Some(Fate::AnswerLost), _) => {
                self.connect(service, request).await;
                lost(service)
            }
            (Some(Fate::RequestHeld), Some(held)) => {
                self.hold(held).await;
                self.connect(service, request).await
            }
            (Some(Fate::AnswerHeld), Some(held)) => {
                let answer = self.connect(service, request).await;
                self.hold(held).await;
                answer
            }
            _ => self.connect(service, request).await,
        }
    }

    async fn hold(&self, (held, gone): (HeldCall, oneshot::Receiver<()>)) {
        // whoever does not want to let go any more drops it
        if self.held.send(held).is_ok() {
            let _ = gone.await;
        }
    }

    fn fate(&self, name: &str) -> Option<Fate> {
        let mut watch = self.watch.lock().unwrap();
        match watch.trouble.take() {
            Some((0, fate)) => {
                watch.story.push(format!("{name}: {fate:?}"));
                Some(fate)
            }
            Some((left, fate)) => {
                watch.trouble = Some((left - 1, fate));
                None
            }
            None => None,
        }
    }

    async fn connect(&self, service: &'static str, request: Request) -> Response {
        let Some(desk) = self.desks.lock().unwrap().get(service).cloned() else { return lost(service) };
        let answering = desk.runtime.spawn(async move {
            let (parts, body) = desk.routes.oneshot(request).await.expect("routes cannot fail").into_parts();
            // a stream of outcomes is over when all its work is done
            let body = body.collect().await.ok()?;
            Some(Response::from_parts(parts, Body::new(body)))
        });
        answering.await.ok().flatten().unwrap_or_else(|| lost(service))
    }
}

async fn take(State(exchange): State<Exchange>, request: Request) -> Response {
    let service = service(request.uri().path());
    // spawned: a call that has left outlives its caller
    tokio::spawn(exchange.carry(request)).await.unwrap_or_else(|_| lost(service))
}

/// What a caller hears of a call that is lost: by telephone that its time is over, at once instead of then; from the card
/// network nothing.
fn lost(service: &str) -> Response {
    if service == "psp" {
        return psp::serve::drop_connection();
    }
    Status::deadline_exceeded("lost on the way").into_http()
}

/// Whose call it is: `order` of `/order.v1.OrderService/PlaceOrders`.
fn service(path: &str) -> &'static str {
    let known = ["order", "inventory", "payment", "shipping", "accounts"];
    known.into_iter().find(|it| path[1..].split('.').next() == Some(it)).unwrap_or("psp")
}

fn name(path: &str) -> String {
    match service(path) {
        "psp" if path.ends_with("/void") => "psp.void".to_owned(),
        "psp" if path.ends_with("/refunds") => "psp.refund".to_owned(),
        "psp" => "psp.charge".to_owned(),
        service => format!("{service}.{}", path.rsplit('/').next().unwrap_or_default()),
    }
}

impl fmt::Debug for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RequestLost => "the request is lost",
            Self::AnswerLost => "it arrives, the answer is lost",
            Self::RequestHeld => "the request is late",
            Self::AnswerHeld => "it arrives, the answer is late",
        })
    }
}
