//! What a server of ours says to calls that are no calls, or too large, or too late, and to peers that mean no good: raw HTTP/2, as
//! no client of ours would speak it.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::{BufMut, Bytes, BytesMut};
use contracts::{
    money::v1::Money,
    order::v1::{ListOrdersResponse, Order, OrderLine, PlaceOrder, PlaceOrdersRequest, PricedLine},
    payment::v1::{
        ChargeRequest, ChargeResponse, GetPaymentRequest, GetPaymentResponse, Payment, RefundRequest, RefundResponse,
        VoidRequest, VoidResponse,
        payment_service_client::PaymentServiceClient,
        payment_service_server::{PaymentService, PaymentServiceServer},
    },
    problem::ProblemCode,
};
use h2::{Reason, client::SendRequest};
use prost::Message;
use rpc::{MESSAGE_BYTES_MAX, Outcomes, server::LIST_ITEMS_MAX};
use service_runtime::Shutdown;
use tokio::net::TcpStream;
use tonic::{Code, Request, Response, Status, codegen::http};

const GET_PAYMENT: &str = "/payment.v1.PaymentService/GetPayment";

/// A payment that is never found.
const SLOW: &str = "slow";

/// One that is told with more words than a message may have.
const HUGE: &str = "huge";

/// Counts the calls that it is given.
#[derive(Debug, Clone, Default)]
struct Desk(Arc<AtomicUsize>);

#[tonic::async_trait]
impl PaymentService for Desk {
    type ChargeStream = Outcomes<ChargeResponse>;
    type VoidStream = Outcomes<VoidResponse>;
    type RefundStream = Outcomes<RefundResponse>;

    async fn charge(&self, _: Request<ChargeRequest>) -> Result<Response<Self::ChargeStream>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }

    async fn void(&self, _: Request<VoidRequest>) -> Result<Response<Self::VoidStream>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }

    async fn refund(&self, _: Request<RefundRequest>) -> Result<Response<Self::RefundStream>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }

    async fn get_payment(&self, request: Request<GetPaymentRequest>) -> Result<Response<GetPaymentResponse>, Status> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let mut order_id = request.into_inner().order_id;
        if order_id == SLOW {
            std::future::pending::<()>().await;
        }
        if order_id == HUGE {
            order_id = "x".repeat(MESSAGE_BYTES_MAX + 1);
        }
        Ok(Response::new(GetPaymentResponse { payment: Some(Payment { order_id, ..Payment::default() }) }))
    }
}

/// A server of ours, and how many calls have come to its desk.
async fn serve() -> (SocketAddr, Arc<AtomicUsize>) {
    let [address] = testkit::free_addresses();
    let desk = Desk::default();
    let calls = desk.0.clone();
    let server = PaymentServiceServer::new(desk).max_decoding_message_size(MESSAGE_BYTES_MAX);
    tokio::spawn(async move { rpc::server::serve(address, rpc::Served::new(server), &Shutdown::new()).await });
    testkit::eventually(testkit::SOON, "it listens", async || TcpStream::connect(address).await.is_ok()).await;
    (address, calls)
}

async fn connect(address: SocketAddr) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(address).await.expect("it listens");
    let (sender, connection) = h2::client::handshake(stream).await.expect("it is HTTP/2");
    // it ends when the test does, or when the server has had enough
    tokio::spawn(connection);
    sender
}

/// The head of a call.
fn head(path: &str, timeout: Option<&str>) -> http::Request<()> {
    let mut request = http::Request::post(format!("http://postbox.test{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    if let Some(timeout) = timeout {
        request = request.header("grpc-timeout", timeout);
    }
    request.body(()).expect("it is a request")
}

/// A message as gRPC frames it.
fn framed(message: &[u8]) -> Bytes {
    framed_as(u32::try_from(message.len()).expect("it is short"), message)
}

/// One that is announced with another length.
fn framed_as(length: u32, message: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(length);
    frame.put_slice(message);
    frame.freeze()
}

/// Who is asked for.
fn question(order_id: &str) -> Bytes {
    framed(&GetPaymentRequest { order_id: order_id.to_owned() }.encode_to_vec())
}

/// Makes one call with these bytes, and gives the status that it ends with.
async fn call(address: SocketAddr, path: &str, timeout: Option<&str>, body: Bytes) -> Status {
    let mut sender = connect(address).await.ready().await.expect("it takes calls");
    let (answer, mut sending) = sender.send_request(head(path, timeout), false).expect("it takes this one");
    sending.send_data(body, true).expect("it takes the message");
    let (head, mut body) = answer.await.expect("it answers").into_parts();
    if let Some(status) = Status::from_header_map(&head.headers) {
        return status;
    }
    while let Some(data) = body.data().await {
        let length = data.expect("it goes on").len();
        body.flow_control().release_capacity(length).expect("it was sent");
    }
    let trailers = body.trailers().await.expect("it ends in order").expect("the status");
    Status::from_header_map(&trailers).expect("the status")
}

#[tokio::test]
async fn bytes_that_are_another_message_are_an_invalid_argument() {
    let (address, calls) = serve().await;
    // a field of a type that there is not; a text that is longer than what is left
    for message in [&[0xff_u8, 0xff][..], &[0x0a, 0x7f, b'x']] {
        let status = call(address, GET_PAYMENT, None, framed(message)).await;
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert_eq!(rpc::problem_of(&status), ProblemCode::Malformed);
        assert!(status.message().contains("decode"), "{status:?}");
    }
    assert_eq!(calls.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn bytes_that_are_no_grpc_are_refused_as_grpc_has_it() {
    let (address, calls) = serve().await;
    let compressed_in_no_way = Bytes::from_static(&[7, 0, 0, 0, 0]);
    let cut_off = framed_as(10, b"x");
    for body in [compressed_in_no_way, cut_off, Bytes::new()] {
        let status = call(address, GET_PAYMENT, None, body).await;
        assert_eq!(status.code(), Code::Internal, "{status:?}");
    }
    assert_eq!(calls.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_message_that_is_too_long_is_refused_before_it_is_read() {
    let (address, calls) = serve().await;
    let length = u32::try_from(MESSAGE_BYTES_MAX + 1).expect("it is short");
    let status = call(address, GET_PAYMENT, None, framed_as(length, b"the beginning of it")).await;
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    assert_eq!(rpc::problem_of(&status), ProblemCode::TooLarge);
    assert!(status.message().contains(&MESSAGE_BYTES_MAX.to_string()), "{status:?}");
    assert_eq!(calls.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_a_fault_of_ours() {
    let (address, _) = serve().await;
    let channel = rpc::channel(&format!("http://{address}")).expect("it is a URL");
    let client = PaymentServiceClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let asking = rpc::ask(testkit::SOON, GetPaymentRequest { order_id: HUGE.to_owned() }, |request| {
        let mut client = client.clone();
        async move { client.get_payment(request).await }
    });
    let status = asking.await.expect_err("it is too long");
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    assert_eq!(rpc::problem_of(&status), ProblemCode::Internal);
}

#[test]
fn the_longest_lists_fit_twice_into_a_message() {
    let sku = "s".repeat(64);
    let money = Some(Money { amount_minor: i64::MAX, currency: "EUR".to_owned() });
    let line = PricedLine { sku: sku.clone(), quantity: 10_000, unit_price: money.clone(), line_total: money };
    let id = "01234567-89ab-7def-8123-456789abcdef".to_owned();
    let order = Order { order_id: id.clone(), customer_id: id.clone(), lines: vec![line; 100], ..Order::default() };
    let answer = ListOrdersResponse { items: vec![order; LIST_ITEMS_MAX], ..ListOrdersResponse::default() };
    let place = PlaceOrder {
        order_id: id.clone(),
        customer_id: id,
        idempotency_key: "k".repeat(100),
        lines: vec![OrderLine { sku, quantity: 10_000 }; 100],
        card_token: "t".repeat(64),
        ..PlaceOrder::default()
    };
    let question = PlaceOrdersRequest { items: vec![place; LIST_ITEMS_MAX] };
    for bytes in [answer.encoded_len(), question.encoded_len()] {
        assert!(bytes * 2 < MESSAGE_BYTES_MAX, "{bytes} bytes");
    }
}

#[tokio::test]
async fn a_call_whose_deadline_has_passed_is_told_so_and_not_begun() {
    let (address, calls) = serve().await;
    for timeout in ["0S", "1n", "900u"] {
        let status = call(address, GET_PAYMENT, Some(timeout), question("any")).await;
        assert_eq!(status.code(), Code::DeadlineExceeded, "{timeout}: {status:?}");
    }
    assert_eq!(calls.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_call_whose_time_is_over_is_told_so() {
    let (address, calls) = serve().await;
    let began = Instant::now();
    let status = call(address, GET_PAYMENT, Some("200m"), question(SLOW)).await;
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    assert_eq!(rpc::problem_of(&status), ProblemCode::DeadlineExceeded);
    assert!(began.elapsed() < Duration::from_secs(5), "after {:?}", began.elapsed());
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_call_without_a_deadline_and_one_with_a_late_one_have_ten_seconds() {
    let (address, _) = serve().await;
    let began = Instant::now();
    let calls = [None, Some("1H")].map(|timeout| call(address, GET_PAYMENT, timeout, question(SLOW)));
    for status in futures::future::join_all(calls).await {
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    }
    let took = began.elapsed().as_secs_f64();
    assert!((9.9..15.0).contains(&took), "after {took} s");
}

#[tokio::test]
async fn a_method_that_there_is_not_is_unimplemented() {
    let (address, _) = serve().await;
    for path in ["/payment.v1.PaymentService/Steal", "/payment.v9.PaymentService/GetPayment", "/"] {
        let status = call(address, path, None, question("any")).await;
        assert_eq!(status.code(), Code::Unimplemented, "{path}: {status:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_takes_back_its_calls_as_fast_as_it_can_harms_nobody_else() {
    /// More than any connection may have under way, and than are put up with.
    const TAKEN_BACK: usize = 20_000;
    let (address, _) = serve().await;
    let attack = tokio::spawn(async move {
        let mut sender = connect(address).await;
        for made in 0..TAKEN_BACK {
            // an error: the server has hung up
            let Ok(ready) = sender.ready().await else { return made };
            sender = ready;
            let Ok((_, mut sending)) = sender.send_request(head(GET_PAYMENT, None), false) else { return made };
            sending.send_reset(Reason::CANCEL);
        }
        TAKEN_BACK
    });
    let mut longest = Duration::ZERO;
    let mut answered = 0;
    while !attack.is_finished() || answered < 10 {
        let began = Instant::now();
        let status = call(address, GET_PAYMENT, Some("5S"), question("any")).await;
        assert_eq!(status.code(), Code::Ok, "{status:?}");
        longest = longest.max(began.elapsed());
        answered += 1;
    }
    let made = attack.await.expect("attacking does not panic");
    assert!(longest < Duration::from_secs(2), "{longest:?} beside {made} calls that were taken back");
}
