//! In the place of an OpenID Connect issuer: a real HTTP server with a JWK set, keys of each kind, and tokens right and forged.

use std::{
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
        RsaKeyPair, RsaPublicKeyComponents,
    },
};
use axum::{
    Router,
    body::Body,
    http::{StatusCode, header::LOCATION},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::client::{Running, now, start_without_keys};

pub const ISSUER: &str = "https://issuer.example/realms/shop";
pub const AUDIENCE: &str = "shop";

/// How the issuer answers who asks for its keys.
#[derive(Clone)]
pub enum Answer {
    /// With a JWK set.
    Keys(Vec<Value>),
    /// With these bytes and 200.
    Bytes(Vec<u8>),
    /// With a status alone.
    Status(u16),
    /// With the address of another place.
    Elsewhere(String),
    /// With the beginning of an answer, and no more.
    Silence,
}

/// An issuer that listens on loopback. Its keys are at every path.
pub struct OutsideIssuer {
    pub url: String,
    answer: Arc<Mutex<Answer>>,
    asked: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

impl Drop for OutsideIssuer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl OutsideIssuer {
    pub async fn start(answer: Answer) -> Self {
        let (answer, asked) = (Arc::new(Mutex::new(answer)), Arc::<AtomicUsize>::default());
        let (listener, url) = listen().await;
        let serving = serve(listener, answer.clone(), asked.clone());
        Self { url, answer, asked, serving }
    }

    /// Answers so from now on.
    pub fn answer(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// A gateway that takes its tokens and was told of no key yet. Keys come when a token names one.
    pub async fn gateway(&self, more: &[&str]) -> Running {
        let url = format!("--jwks-url={}/jwks.json", self.url);
        start_without_keys(&[&settings(&url)[..], more].concat()).await
    }
}

/// What a gateway must be told to take its tokens.
pub fn settings(jwks_url: &str) -> [&str; 3] {
    ["--token-issuer=https://issuer.example/realms/shop", "--token-audience=shop", jwks_url]
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

fn serve(listener: TcpListener, answer: Arc<Mutex<Answer>>, asked: Arc<AtomicUsize>) -> JoinHandle<()> {
    let call = async move || {
        asked.fetch_add(1, Ordering::Relaxed);
        let answer = answer.lock().unwrap().clone();
        respond(answer)
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(call)).await.unwrap() })
}

fn respond(answer: Answer) -> Response {
    match answer {
        Answer::Keys(keys) => json!({"keys": keys}).to_string().into_response(),
        Answer::Bytes(bytes) => bytes.into_response(),
        Answer::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Answer::Elsewhere(url) => (StatusCode::FOUND, [(LOCATION, url)]).into_response(),
        Answer::Silence => {
            Body::from_stream(futures::stream::once(pending::<Result<Vec<u8>, std::io::Error>>())).into_response()
        }
    }
}

enum Private {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

/// A key that signs.
pub struct Signer {
    pub kid: &'static str,
    private: Private,
}

impl Signer {
    pub fn ed25519(kid: &'static str) -> Self {
        Self { kid, private: Private::Ed25519(Ed25519KeyPair::generate().unwrap()) }
    }

    pub fn p256(kid: &'static str) -> Self {
        Self { kid, private: Private::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()) }
    }

    /// Of 2048 bits.
    pub fn rsa(kid: &'static str) -> Self {
        Self { kid, private: Private::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()) }
    }

    /// What the world may know of it.
    pub fn jwk(&self) -> Value {
        let kid = self.kid;
        match &self.private {
            Private::Ed25519(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "use": "sig", "x": base64(pair.public_key())})
            }
            Private::P256(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "x": base64(x), "y": base64(y)})
            }
            Private::Rsa(pair) => {
                let RsaPublicKeyComponents { n, e } = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({"kty": "RSA", "kid": kid, "use": "sig", "n": base64(n), "e": base64(e)})
            }
        }
    }

    /// The bytes of its public half, as its kind has them.
    pub fn public(&self) -> Vec<u8> {
        match &self.private {
            Private::Ed25519(pair) => pair.public_key().as_ref().to_vec(),
            Private::P256(pair) => pair.public_key().as_ref().to_vec(),
            Private::Rsa(pair) => pair.public_key().as_ref().to_vec(),
        }
    }

    /// The algorithm that its tokens name, unless they are told another.
    fn algorithm(&self) -> &'static str {
        match self.private {
            Private::Ed25519(_) => "EdDSA",
            Private::P256(_) => "ES256",
            Private::Rsa(_) => "RS256",
        }
    }

    fn sign(&self, algorithm: &Value, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.private {
            Private::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Private::P256(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Private::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                if algorithm == "PS256" {
                    pair.sign(&RSA_PSS_SHA256, &random, message, &mut signature).unwrap();
                } else {
                    pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                }
                signature
            }
        }
    }

    /// A right token of a customer.
    pub fn token(&self) -> Token<'_> {
        let header = json!({"typ": "JWT", "alg": self.algorithm(), "kid": self.kid});
        let claims = json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": now() + 900, "iat": now(), "roles": ["customer"],
            "email": "ada@example.com", "name": "Ada",
        });
        Token { signer: self, header, claims }
    }
}

/// A token that is not signed yet.
#[derive(Clone)]
pub struct Token<'a> {
    signer: &'a Signer,
    header: Value,
    claims: Value,
}

impl Token<'_> {
    /// With this in its header.
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header[name] = value.into();
        self
    }

    /// With this claim.
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims[name] = value.into();
        self
    }

    /// Without this claim.
    pub fn without(mut self, name: &str) -> Self {
        self.claims.as_object_mut().unwrap().remove(name).unwrap();
        self
    }

    /// Without this in its header.
    pub fn without_header(mut self, name: &str) -> Self {
        self.header.as_object_mut().unwrap().remove(name).unwrap();
        self
    }

    /// Signed by its key, whatever the header says.
    pub fn signed(&self) -> String {
        self.with_signature(|message| self.signer.sign(&self.header["alg"], message))
    }

    /// With an HMAC, as of somebody who takes a public key for a secret.
    pub fn signed_with_secret(&self, secret: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        self.with_signature(|message| hmac::sign(&key, message).as_ref().to_vec())
    }

    /// With nothing behind its second point.
    pub fn unsigned(&self) -> String {
        self.with_signature(|_| Vec::new())
    }

    fn with_signature(&self, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
        let [header, claims] = [&self.header, &self.claims].map(|part| base64(part.to_string()));
        let message = format!("{header}.{claims}");
        let signature = base64(sign(message.as_bytes()));
        format!("{message}.{signature}")
    }
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
