//! The gateway's copy of an issuer's keys: when it is asked for, and what becomes of it when the issuer is away or tells nonsense.
//! Minutes pass in no time: the clock is put forward.

use std::{io::Write, sync::Arc, time::Duration};

use gateway::jwks_url::JwksUrl;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use reqwest::RequestBuilder;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tempfile::NamedTempFile;
use testkit::{SOON, eventually};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::{Instant, advance, pause, resume},
};
use tokio_rustls::TlsAcceptor;

use crate::{
    client::{Running, refused, with},
    outside_issuer::{Answer, OutsideIssuer, Signer},
};

/// Some time later.
async fn later(by: Duration) {
    pause();
    advance(by).await;
    resume();
}

/// Asks on a connection of its own: while the clock is put forward one that waits is closed.
fn get(gateway: &Running, path: &str) -> RequestBuilder {
    gateway.request("GET", path).header("connection", "close")
}

/// Whether a token is taken; nobody else is asked. Before there are keys nobody can say.
async fn is_taken(gateway: &Running, token: &str) -> bool {
    let request = get(gateway, &format!("/v1/orders?customer_id={}", crate::client::CUSTOMER));
    let answer = refused(request.bearer_auth(token)).await;
    if answer == with(422, "invalid") {
        return true;
    }
    assert_eq!(answer, with(401, "unauthenticated"));
    false
}

/// Looks for the issuer's keys as the process does, from now on.
async fn keep_fresh(gateway: &Running) {
    tokio::spawn(gateway.gateway.keys.clone().keep_fresh(gateway.shutdown.clone()));
    eventually(SOON, "the first look", async || gateway.gateway.keys.copy().is_some()).await;
}

#[tokio::test]
async fn an_unknown_key_is_asked_for_at_once_and_then_every_10_seconds_at_the_most() {
    let (first, second) = (Signer::p256("first"), Signer::p256("second"));
    let issuer = OutsideIssuer::start(Answer::Keys(vec![first.jwk()])).await;
    let gateway = issuer.gateway(&[]).await;
    let token = first.token().signed();
    let many = (0..20).map(|_| is_taken(&gateway, &token));
    assert!(futures::future::join_all(many).await.into_iter().all(|taken| taken), "who comes meanwhile waits");
    assert_eq!(issuer.asked(), 1);

    issuer.answer(Answer::Keys(vec![first.jwk(), second.jwk()]));
    let unknown = (0..20).map(async |number| {
        let forged = first.token().header("kid", format!("unknown-{number}"));
        is_taken(&gateway, &forged.signed()).await
    });
    assert!(futures::future::join_all(unknown).await.into_iter().all(|taken| !taken));
    assert!(!is_taken(&gateway, &second.token().signed()).await, "a new key comes too early");
    assert_eq!(issuer.asked(), 1, "anybody can send such tokens");

    later(Duration::from_secs(10)).await;
    assert!(is_taken(&gateway, &second.token().signed()).await, "a new key");
    assert!(is_taken(&gateway, &first.token().signed()).await, "the one before");
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn a_key_that_is_withdrawn_ends_its_tokens_at_the_next_look_those_that_are_known_too() {
    let (first, second) = (Signer::p256("first"), Signer::p256("second"));
    let issuer = OutsideIssuer::start(Answer::Keys(vec![first.jwk(), second.jwk()])).await;
    let gateway = issuer.gateway(&[]).await;
    keep_fresh(&gateway).await;
    let (known, kept) = (first.token().signed(), second.token().signed());
    for token in [&known, &kept] {
        assert!(is_taken(&gateway, token).await);
    }
    let before = issuer.asked();
    issuer.answer(Answer::Keys(vec![second.jwk()]));
    later(Duration::from_secs(290)).await;
    assert!(is_taken(&gateway, &known).await);
    assert_eq!(issuer.asked(), before, "it looks every five minutes");
    later(Duration::from_secs(10)).await;
    // not by a token, which would make it ask
    let told = || gateway.gateway.keys.jwks_json().unwrap();
    eventually(SOON, "the key is not known any more", async || !told().contains("first")).await;
    assert_eq!(issuer.asked(), before + 1);
    assert!(!is_taken(&gateway, &known).await);
    assert!(is_taken(&gateway, &kept).await);
}

#[tokio::test]
async fn an_issuer_that_is_away_or_tells_nonsense_leaves_the_keys_as_they_are() {
    let (first, second) = (Signer::p256("first"), Signer::p256("second"));
    let elsewhere = OutsideIssuer::start(Answer::Keys(vec![second.jwk()])).await;
    let long = format!("{{\"keys\":[{}],\"x\":\"{}\"}}", second.jwk(), "x".repeat(64 * 1024));
    let nonsense = [
        ("an error", Answer::Status(503)),
        ("nothing", Answer::Status(204)),
        ("a redirect", Answer::Elsewhere(elsewhere.url.clone())),
        ("no JSON", Answer::Bytes(b"<html>come back later</html>".to_vec())),
        ("no text", Answer::Bytes(b"{\"keys\":[],\"x\":\"\xff\"}".to_vec())),
        ("no set", Answer::Bytes(b"{\"keys\":{}}".to_vec())),
        ("more than 64 KiB", Answer::Bytes(long.into_bytes())),
        ("an answer that does not end", Answer::Silence),
    ];
    let issuer = OutsideIssuer::start(Answer::Keys(vec![first.jwk()])).await;
    let gateway = issuer.gateway(&[]).await;
    let told = async |text: bool| {
        let response = get(&gateway, "/.well-known/jwks.json").send().await.unwrap();
        if text { response.text().await.unwrap() } else { response.status().to_string() }
    };
    // before the first key, nobody can say anything, and the gateway is not ready
    for (what, answer) in nonsense.iter().chain([&("no keys", Answer::Keys(Vec::new()))]) {
        issuer.answer(answer.clone());
        later(Duration::from_secs(10)).await;
        let asked = Instant::now();
        let request = get(&gateway, "/v1/orders").bearer_auth(first.token().signed());
        let (status, _) = refused(request).await;
        assert_eq!(status, if *what == "no keys" { 401 } else { 503 }, "{what}");
        assert!(asked.elapsed() < Duration::from_secs(4), "{what}");
        assert!(!gateway.gateway.keys.present().load(std::sync::atomic::Ordering::Relaxed), "{what}");
    }
    issuer.answer(Answer::Keys(vec![first.jwk()]));
    later(Duration::from_secs(10)).await;
    assert!(is_taken(&gateway, &first.token().signed()).await);
    assert!(gateway.gateway.keys.present().load(std::sync::atomic::Ordering::Relaxed));
    let right = told(true).await;
    for (what, answer) in nonsense {
        issuer.answer(answer);
        later(Duration::from_secs(10)).await;
        let before = issuer.asked();
        assert!(!is_taken(&gateway, &second.token().signed()).await, "{what}");
        assert_eq!(issuer.asked(), before + 1, "{what}");
        assert!(is_taken(&gateway, &first.token().signed()).await, "{what}");
        assert_eq!(told(true).await, right, "{what}");
    }
    assert_eq!(elsewhere.asked(), 0, "no redirect is followed");
    assert_eq!(told(false).await, "200 OK");
}

#[tokio::test]
async fn an_issuer_that_comes_back_is_heard_within_a_second() {
    let (first, second) = (Signer::p256("first"), Signer::p256("second"));
    let issuer = OutsideIssuer::start(Answer::Keys(vec![first.jwk()])).await;
    let gateway = issuer.gateway(&[]).await;
    keep_fresh(&gateway).await;
    issuer.answer(Answer::Status(503));
    later(Duration::from_mins(5)).await;
    let before = issuer.asked();
    eventually(SOON, "it is asked again and again", async || issuer.asked() >= before + 3).await;
    assert!(is_taken(&gateway, &first.token().signed()).await);
    issuer.answer(Answer::Keys(vec![second.jwk()]));
    // without a token that names the new key
    eventually(SOON, "the new keys are told", async || !is_taken(&gateway, &first.token().signed()).await).await;
}

/// A server with a certificate of this CA, which tells these keys to whoever accepts it.
async fn https(ca: &Issuer<'static, KeyPair>, jwks: String) -> String {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, ca).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // whoever does not accept the certificate hangs up
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let answer =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{jwks}", jwks.len());
            let mut request = [0; 4096];
            if stream.read(&mut request).await.is_ok() && stream.write_all(answer.as_bytes()).await.is_ok() {
                let _ = stream.shutdown().await;
            }
        }
    });
    format!("https://localhost:{port}/jwks.json")
}

fn new_ca() -> (Issuer<'static, KeyPair>, NamedTempFile) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(params.self_signed(&key).unwrap().pem().as_bytes()).unwrap();
    (Issuer::new(params, key), file)
}

#[tokio::test]
async fn over_https_the_server_must_show_a_certificate_of_the_ca() {
    let ((ca, ca_file), (_, other_ca_file)) = (new_ca(), new_ca());
    let url = https(&ca, "{\"keys\":[]}".to_owned()).await;
    let fetch = async |url: &str, ca_file: &str| JwksUrl::new(url, ca_file).unwrap().fetch().await;
    let path = |file: &NamedTempFile| file.path().display().to_string();
    assert_eq!(fetch(&url, &path(&ca_file)).await.unwrap(), "{\"keys\":[]}");
    for (what, url, ca_file) in [
        ("another CA", url.clone(), path(&other_ca_file)),
        ("those that browsers know", url.clone(), String::new()),
        ("another name", url.replace("localhost", "127.0.0.1"), path(&ca_file)),
    ] {
        let error = fetch(&url, &ca_file).await.unwrap_err().to_string();
        assert!(error.contains("certificate"), "{what}: {error}");
    }
}

#[test]
fn an_address_or_a_file_that_cannot_be_is_told_with_its_setting() {
    let empty = NamedTempFile::new().unwrap();
    let empty = empty.path().display().to_string();
    let right = "https://issuer.example/jwks.json";
    for (url, ca_file, line) in [
        ("issuer.example", "", "JWKS_URL: it must begin with https:// or http://"),
        ("ftp://issuer.example/", "", "JWKS_URL: it must begin with https:// or http://"),
        ("https://", "", "JWKS_URL: it is no URL"),
        ("https://ada:secret@issuer.example/", "", "JWKS_URL: a JWK set is public"),
        ("http://issuer.example/", "ca.pem", "JWKS_CA_FILE ca.pem: JWKS_URL is not https"),
        (right, "/nowhere/ca.pem", "JWKS_CA_FILE /nowhere/ca.pem: "),
        (right, empty.as_str(), "there is no certificate in it"),
    ] {
        let error = JwksUrl::new(url, ca_file).unwrap_err().to_string();
        assert!(error.contains(line) && !error.contains("secret"), "{error}, and not {line}");
    }
    assert!(JwksUrl::new(right, "").is_ok_and(|url| !url.is_in_the_clear()));
}
