//! Connections that do not behave. Time is stopped where a limit is waited for, and goes on when all are waiting.

use std::{net::SocketAddr, time::Duration};

use testkit::SOON;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

use crate::client::start;

/// What an HTTP/2 client says first: the preface, and settings that ask for nothing.
const HTTP_2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Kinds of HTTP/2 frames (RFC 9113, section 6).
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

/// `ENHANCE_YOUR_CALM`.
const TOO_MUCH: u32 = 11;

/// Sends bytes, and gives all that comes until the other side closes.
pub async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    String::from_utf8(until_closed(&mut stream).await).unwrap()
}

/// All that comes until the other side closes, which it does within a minute.
async fn until_closed(stream: &mut TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    let reading = timeout(Duration::from_mins(1), stream.read_to_end(&mut answer));
    // a reset is a way to close, too
    let _ = reading.await.expect("the gateway keeps the connection open");
    answer
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// `GET /`, whole, and at once taken back.
fn taken_back(stream: u32) -> Vec<u8> {
    let (end_of_stream_and_headers, cancel) = (5, 8_u32);
    let get = frame(HEADERS, end_of_stream_and_headers, stream, b"\x82\x86\x84\x01\x01a");
    [get, frame(RST_STREAM, 0, stream, &cancel.to_be_bytes())].concat()
}

/// The frames that were read whole: kind, payload.
fn frames(mut bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut frames = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk::<9>() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let Some((payload, rest)) = rest.split_at_checked(length) else { break };
        frames.push((head[3], payload));
        bytes = rest;
    }
    frames
}

#[tokio::test]
async fn a_request_whose_end_can_be_read_in_two_ways_is_refused_and_its_connection_closed() {
    let gateway = start(&[]).await;
    let smuggled = "0\r\n\r\nGET /.well-known/jwks.json HTTP/1.1\r\nHost: a\r\n\r\n";
    for headers in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "transfer-encoding: chunked\r\ncontent-length: 0\r\ncontent-length: 5",
    ] {
        let head =
            format!("POST /v1/tokens HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n{headers}\r\n\r\n");
        let answer = exchange(gateway.address, format!("{head}{smuggled}").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{headers}: {answer}");
        assert!(answer.contains("not both"), "{headers}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{headers}: {answer}");
    }
}

#[tokio::test]
async fn what_is_no_http_is_400_and_closed() {
    let gateway = start(&[]).await;
    for bytes in [
        "GET /\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nbad header\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
    ] {
        let answer = exchange(gateway.address, bytes.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{}: {answer}", bytes.escape_default());
    }
}

#[tokio::test]
async fn a_head_over_16_kib_is_431() {
    let gateway = start(&[]).await;
    let head = |length: usize| {
        format!("GET /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: {}\r\n\r\n", "x".repeat(length))
    };
    let long = exchange(gateway.address, head(15 * 1024).as_bytes()).await;
    assert!(long.starts_with("HTTP/1.1 404 "), "{long}");
    let too_long = exchange(gateway.address, head(17 * 1024).as_bytes()).await;
    assert!(too_long.starts_with("HTTP/1.1 431 "), "{too_long}");
}

#[tokio::test]
async fn a_refusal_over_a_body_that_is_not_read_is_heard_and_tells_that_its_connection_closes() {
    let gateway = start(&[]).await;
    let post = |headers: &str, length: usize| {
        let head = format!("POST /v1/tokens HTTP/1.1\r\nHost: a\r\n{headers}Content-Length: {length}\r\n\r\n");
        [head.into_bytes(), vec![b' '; length]].concat()
    };
    for (request, status) in [
        (post("Content-Type: application/json\r\n", 256 * 1024 + 1), 413),
        (post("Content-Type: application/json\r\n", 1024 * 1024), 413),
        (post("Content-Type: text/plain\r\n", 100 * 1024), 415),
    ] {
        let answer = exchange(gateway.address, &request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    }
    // what was read whole leaves the connection to the next request
    let short = post("Content-Type: text/plain\r\n", 10);
    let answer = exchange(gateway.address, &[short.clone(), short].concat()).await;
    assert_eq!(answer.matches("HTTP/1.1 415 ").count(), 2, "{answer}");
    assert!(!answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn http_2_is_spoken_on_the_same_port() {
    let gateway = start(&[]).await;
    let client = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    let response = client.get(gateway.url("/.well-known/jwks.json")).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.version()), (200, reqwest::Version::HTTP_2));
    let too_long = client.get(gateway.url("/nowhere")).header("x-long", "x".repeat(17 * 1024)).send().await;
    assert!(too_long.is_err() || too_long.is_ok_and(|response| response.status() == 431));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_get_to_the_end_of_a_head_is_cut_off_after_10_seconds() {
    let gateway = start(&[]).await;
    // nothing at all; the beginning of HTTP/1.1; what may become HTTP/2; HTTP/2 without a request
    let beginnings: [&[u8]; 4] =
        [b"", b"GET / HTTP/1.1\r\nHost:", b"PRI * HTTP/2.0", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"];
    for beginning in beginnings {
        let begun = Instant::now();
        let mut stream = TcpStream::connect(gateway.address).await.unwrap();
        stream.write_all(beginning).await.unwrap();
        until_closed(&mut stream).await;
        let took = begun.elapsed();
        let about_10_s = Duration::from_millis(9_900)..Duration::from_millis(10_900);
        assert!(about_10_s.contains(&took), "{}: {took:?}", beginning.escape_ascii());
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_was_used_is_closed_10_seconds_after_its_last_answer() {
    let gateway = start(&[]).await;
    for next in ["", "GET / HTTP/1.1\r\nHost:"] {
        let begun = Instant::now();
        let request = format!("GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n{next}");
        let answer = exchange(gateway.address, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
        let took = begun.elapsed();
        assert!((Duration::from_millis(9_900)..Duration::from_millis(10_900)).contains(&took), "{next}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_408_after_30_seconds() {
    let gateway = start(&[]).await;
    let begun = Instant::now();
    let head =
        "POST /v1/tokens HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{\"a\"";
    let answer = exchange(gateway.address, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("\"code\":\"request-timeout\""), "{answer}");
    let took = begun.elapsed();
    assert!((Duration::from_millis(29_900)..Duration::from_secs(32)).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_trickles_is_408_after_30_seconds_all_the_same() {
    let gateway = start(&[]).await;
    let begun = Instant::now();
    let head = "POST /v1/tokens HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n";
    let (mut answer, mut body) = TcpStream::connect(gateway.address).await.unwrap().into_split();
    body.write_all(head.as_bytes()).await.unwrap();
    let trickle = tokio::spawn(async move {
        while body.write_all(b" ").await.is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
    });
    let mut read = Vec::new();
    // a reset is a way to close, too
    let _ = timeout(Duration::from_mins(1), answer.read_to_end(&mut read)).await.expect("it is kept open");
    let took = begun.elapsed();
    trickle.abort();
    let answer = String::from_utf8(read).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!((Duration::from_millis(29_900)..Duration::from_secs(32)).contains(&took), "{took:?}");
}

#[tokio::test]
async fn who_takes_back_what_he_asks_for_again_and_again_is_cut_off_and_others_are_served() {
    let gateway = start(&[]).await;
    let storm: Vec<u8> = (0..100).flat_map(|number| taken_back(2 * number + 1)).collect();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(gateway.address).await.unwrap();
        stream.write_all(&[HTTP_2, &storm].concat()).await.unwrap();
        let others = gateway.request("GET", "/.well-known/jwks.json").send();
        let (answer, others) = tokio::join!(until_closed(&mut stream), others);
        let said = frames(&answer);
        let goodbye = said.iter().find(|(kind, _)| *kind == GOAWAY).unwrap_or_else(|| panic!("{said:?}"));
        assert_eq!(goodbye.1[4..8], TOO_MUCH.to_be_bytes(), "{said:?}");
        assert_eq!(others.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn a_request_that_is_taken_back_counts_for_the_limit_of_its_client() {
    let gateway = start(&["--rate-limit-address=100"]).await;
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    stream.write_all(HTTP_2).await.unwrap();
    let mut heard = Vec::new();
    // one after another, so that none of them is taken for a storm
    for number in 0..50 {
        let ping = frame(PING, 0, 0, &[0; 8]);
        stream.write_all(&[taken_back(2 * number + 1), ping].concat()).await.unwrap();
        while frames(&heard).iter().filter(|(kind, _)| *kind == PING).count() <= number as usize {
            let read = timeout(SOON, stream.read_buf(&mut heard)).await;
            let read = read.unwrap_or_else(|_| panic!("ping {number} is not answered: {:?}", frames(&heard)));
            assert!(read.unwrap() > 0, "cut off after {number}: {:?}", frames(&heard));
        }
    }
    let response = gateway.request("GET", "/nowhere").send().await.unwrap();
    assert!(response.headers()["ratelimit"].to_str().unwrap().contains(";r=49;"), "{response:?}");
}

#[tokio::test]
async fn idle_connections_take_nobodys_place() {
    let gateway = start(&[]).await;
    let mut idle = Vec::new();
    for _ in 0..500 {
        idle.push(TcpStream::connect(gateway.address).await.unwrap());
    }
    let response = gateway.request("GET", "/.well-known/jwks.json").send().await.unwrap();
    assert_eq!(response.status(), 200);
}
