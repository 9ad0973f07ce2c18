//! A door in front of the gateway that takes whoever asks about an order for the operator: what a missing check of ownership is
//! like.

use journeys::platform::Platform;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

/// The longest head of a request.
const HEAD_MAX: usize = 16 * 1024;

/// Opens it, and gives its address.
pub async fn open(platform: &Platform) -> String {
    let gateway = platform.url("gateway").to_owned();
    let operator = json!({"email": "operator@example.com", "password": "operator-demo"});
    let answer = reqwest::Client::new().post(format!("{gateway}/v1/tokens")).json(&operator).send().await;
    let answer = answer.expect("the gateway answers").bytes().await.expect("it answers whole");
    let answer: Value = serde_json::from_slice(&answer).expect("JSON");
    let token = answer["access_token"].as_str().expect("a token").to_owned();

    let listener = TcpListener::bind("127.0.0.1:0").await.expect("some port is free");
    let address = listener.local_addr().expect("it is bound");
    let gateway = gateway.trim_start_matches("http://").to_owned();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(pass_on(client, gateway.clone(), token.clone()));
        }
    });
    format!("http://{address}")
}

/// One request on each connection, so that each has its head looked at.
async fn pass_on(mut client: TcpStream, gateway: String, token: String) {
    let mut received = Vec::new();
    let end = loop {
        if let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if received.len() > HEAD_MAX || client.read_buf(&mut received).await.unwrap_or(0) == 0 {
            return;
        }
    };
    let body = received.split_off(end);
    let head = String::from_utf8(received).expect("a head is text");
    // who places an order is left as he is: else it would be the operator's
    let is_taken_for_the_operator = head.starts_with("GET ") || head.starts_with("POST /v1/orders/");
    let mut lines: Vec<String> = head.trim_end().split("\r\n").map(str::to_owned).collect();
    if is_taken_for_the_operator {
        for line in lines.iter_mut().filter(|line| line.to_lowercase().starts_with("authorization:")) {
            *line = format!("authorization: Bearer {token}");
        }
    }
    lines.push("connection: close\r\n\r\n".to_owned());
    let Ok(mut upstream) = TcpStream::connect(gateway).await else { return };
    let sent = upstream.write_all(lines.join("\r\n").as_bytes()).await.and(upstream.write_all(&body).await);
    if sent.is_ok() {
        // whoever hangs up first ends it
        let _ = copy_bidirectional(&mut client, &mut upstream).await;
    }
}
