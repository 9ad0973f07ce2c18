//! Somebody in the place of a service.

use std::{
    future::pending,
    io,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes},
    handler::Handler,
    http::{HeaderMap, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::post,
};
use futures::{StreamExt, stream};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use prost::Message;
use tokio::{net::TcpListener, sync::watch};

/// The bytes before a message of gRPC: whether it is packed, and its length.
const GRPC_PREFIX: usize = 5;

/// Says that it is there, which is what a caller asks first, and does `call` with every other call. Gives its URL.
pub async fn stand_in<T: 'static>(call: impl Handler<T, ()>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/grpc.health.v1.Health/Check", post(async || ())).fallback(call);
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// Takes calls and never answers any.
pub async fn silent() -> String {
    stand_in(pending::<()>).await
}

/// Answers every call with this message.
pub async fn answering(message: &impl Message) -> String {
    let message = framed(message);
    let answer = async move || {
        let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
        let frames = [Frame::data(Bytes::from(message)), Frame::trailers(trailers)];
        let body = StreamBody::new(stream::iter(frames.map(Ok::<_, io::Error>)));
        ([(CONTENT_TYPE, "application/grpc")], Body::new(body)).into_response()
    };
    stand_in(answer).await
}

/// A place that opens every stream, tells some messages on it, and then says nothing.
pub struct Streams<Q> {
    pub url: String,
    /// What each stream was asked for with.
    pub asked: Arc<Mutex<Vec<Q>>>,
    /// Changed: every stream that is open breaks off. Each of them has a receiver.
    pub break_off: watch::Sender<()>,
}

impl<Q: Message + Default + 'static> Streams<Q> {
    /// That tells these messages.
    pub async fn start(messages: &[impl Message]) -> Self {
        let (asked, break_off) = (Arc::<Mutex<Vec<Q>>>::default(), watch::Sender::new(()));
        let (asking, breaking_off) = (asked.clone(), break_off.clone());
        let messages: Vec<u8> = messages.iter().flat_map(framed).collect();
        let open = async move |body: Body| {
            let question = body.collect().await.unwrap().to_bytes().split_off(GRPC_PREFIX);
            asking.lock().unwrap().push(Q::decode(question).unwrap());
            let mut broken_off = breaking_off.subscribe();
            let silence = async move {
                broken_off.changed().await.unwrap();
                Err::<Vec<u8>, _>(io::Error::other("broken off"))
            };
            let told = stream::iter((!messages.is_empty()).then_some(Ok(messages))).chain(stream::once(silence));
            ([(CONTENT_TYPE, "application/grpc")], Body::from_stream(told))
        };
        Self { url: stand_in(open).await, asked, break_off }
    }

    /// How many streams are open.
    pub fn open(&self) -> usize {
        self.break_off.receiver_count()
    }
}

/// A message as gRPC sends it.
fn framed(message: &impl Message) -> Vec<u8> {
    let message = message.encode_to_vec();
    let length = u32::try_from(message.len()).expect("a short message");
    [&[0], length.to_be_bytes().as_slice(), &message].concat()
}
