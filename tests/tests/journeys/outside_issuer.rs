//! People who come from another issuer of tokens, and have never registered.

use std::net::Ipv4Addr;

use axum::{Router, routing::get};
use contracts::topics;
use jiff::Timestamp;
use journeys::{
    customer::{Customer, address},
    letters,
    platform::Platform,
};
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use postbox::secret::Secret;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{SOON, eventually, eventually_some, places_with};
use tokio::net::TcpListener;

const ISSUER: &str = "https://issuer.example";

/// Signs tokens, and tells its key over HTTP.
struct Issuer {
    key: EncodingKey,
    jwks_url: String,
}

impl Issuer {
    async fn start() -> Self {
        let key = EncodingKey::from_ed_pem(Secret::Ed25519Pem.make().as_bytes()).expect("a key");
        let mut jwk = Jwk::from_encoding_key(&key, Algorithm::EdDSA).expect("a key");
        jwk.common.key_id = Some("one".to_owned());
        let jwks = json!({"keys": [jwk]}).to_string();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
        let jwks_url = format!("http://{}/jwks.json", listener.local_addr().expect("it listens"));
        let router = Router::new().route("/jwks.json", get(async move || jwks));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { key, jwks_url }
    }

    async fn platform(&self) -> Platform {
        let settings = [
            ("gateway", "TOKEN_ISSUER", ISSUER),
            ("gateway", "TOKEN_AUDIENCE", "shop"),
            ("gateway", "JWKS_URL", &self.jwks_url),
        ];
        Platform::start_with(testkit::kafka(), &settings).await
    }

    /// Somebody with a token of this issuer.
    fn somebody(&self, platform: &Platform, subject: &str, email: &str, role: &str) -> Customer {
        #[expect(clippy::disallowed_methods, reason = "tokens are valid by the machine's clock")]
        let now = Timestamp::now().as_second();
        let claims = json!({
            "iss": ISSUER, "aud": ["account", "shop"], "sub": subject, "exp": now + 300, "roles": [role],
            "email": email, "name": "Ada",
        });
        let header = Header { kid: Some("one".to_owned()), ..Header::new(Algorithm::EdDSA) };
        let token = jsonwebtoken::encode(&header, &claims, &self.key).expect("it signs");
        Customer::nobody(platform).with_token(&token)
    }
}

/// Whom accounts knows somebody as.
async fn account(somebody: &Customer) -> Value {
    somebody.get("/v1/accounts/me").await.expect(200).json()
}

#[tokio::test]
async fn who_never_registered_orders_and_is_written_to() {
    let issuer = Issuer::start().await;
    let platform = issuer.platform().await;
    let ada = issuer.somebody(&platform, "ada", "ada@example.com", "customer");
    // at the same time: there is one account all the same
    let orders = (0..8).map(|_| ada.order_a_mug());
    let orders = futures::future::join_all(orders).await;
    let orders: Vec<String> = orders.into_iter().map(|order| order.expect(201).order_id()).collect();

    let me = account(&ada).await;
    assert_eq!((me["email"].as_str(), me["name"].as_str()), (Some("ada@example.com"), Some("Ada")));
    eventually(SOON * 2, "a message about each order is sent", async || {
        let messages = ada.get("/v1/messages").await.expect(200).json();
        let is_sent = |message: &&Value| message["event_type"] == "order.completed" && !message["sent_at"].is_null();
        messages["items"].as_array().is_some_and(|items| items.iter().filter(is_sent).count() == orders.len())
    })
    .await;

    let order = &orders[0];
    let shipment = async |status: &str| {
        let is_there = async || (ada.read_order(order).await["shipment"]["status"] == status).then_some(());
        eventually_some(SOON * 2, &format!("the parcel is {status}"), is_there).await;
    };
    shipment("AWAITING_ADDRESS").await;
    ada.send(Method::PUT, "/v1/accounts/me/address", None, Some(address())).await.expect(200);
    shipment("PREPARING").await;

    let letters = letters::of(&platform.kafka, topics::ACCOUNTS, me["account_id"].as_str().expect("an id")).await;
    let letters: Vec<&str> = letters.iter().map(|letter| letter.event_type.as_str()).collect();
    assert_eq!(letters, ["account.registered", "account.address_changed"]);
}

#[tokio::test]
async fn who_was_erased_does_not_come_back_by_a_new_token() {
    let issuer = Issuer::start().await;
    let platform = issuer.platform().await;
    let kept = async || -> i64 {
        let count = sqlx::query_scalar("SELECT count(*) FROM account WHERE role = 'customer'");
        count.fetch_one(platform.database("accounts")).await.expect("it is read")
    };
    let before = kept().await;
    // who never was told to accounts: there is nothing to forget, and nobody is made for that
    let grace = issuer.somebody(&platform, "grace", "grace@example.com", "customer");
    grace.erase().await;
    assert_eq!(kept().await, before);

    let ada = issuer.somebody(&platform, "ada", "quillfeather@lighthouse.example", "customer");
    let order = ada.order_a_mug().await.expect(201).order_id();
    ada.shipment_is(&order, "AWAITING_ADDRESS").await;
    let id = account(&ada).await["account_id"].as_str().expect("an id").to_owned();
    ada.erase().await;
    let later = issuer.somebody(&platform, "ada", "adelheid@lighthouse.example", "customer");
    for token in [&ada, &later] {
        let refused = token.get("/v1/accounts/me").await.expect(401).json();
        assert_eq!(refused["detail"], "the account of this token is gone");
        token.send(Method::PUT, "/v1/accounts/me/address", None, Some(address())).await.expect(401);
        token.order_a_mug().await.expect(401);
        token.erase().await;
    }
    // what was ordered before can be seen, and ends as for everybody who is erased
    let order = later.order_with_status(&order, "CANCELLED").await;
    assert_eq!(order["payment"]["status"], "REFUNDED");

    let left = places_with(platform.database("accounts"), &["quillfeather", "adelheid", "lighthouse"]).await;
    assert!(left.is_empty(), "{left:?}");
    let letters = letters::of(&platform.kafka, topics::ACCOUNTS, &id).await;
    let letters: Vec<&str> = letters.iter().map(|letter| letter.event_type.as_str()).collect();
    assert_eq!(letters, ["account.registered", "account.erased"]);

    // nobody else is meant, and nothing was held against who had no account
    grace.order_a_mug().await.expect(201);
    assert_eq!(kept().await, before + 2, "a tombstone, and one more");
}

#[tokio::test]
async fn an_account_is_the_subjects_and_follows_what_the_issuer_says() {
    let issuer = Issuer::start().await;
    let platform = issuer.platform().await;
    let ada = issuer.somebody(&platform, "ada", "ada@example.com", "customer");
    let order = ada.order_a_mug().await.expect(201).order_id();

    // the same email, and that of an account with a password, lead to nobody else's account
    for email in ["ada@example.com", "operator@example.com"] {
        let other = issuer.somebody(&platform, "eve", email, "customer");
        let (me, hers) = (account(&other).await, account(&ada).await);
        assert_ne!(me["account_id"], hers["account_id"]);
        assert_eq!(me["email"], email);
        other.get(&format!("/v1/orders/{order}")).await.expect(404);
    }

    let moved = issuer.somebody(&platform, "ada", "ada@example.org", "customer");
    let before = account(&ada).await;
    let after = account(&moved).await;
    assert_eq!((&after["account_id"], &after["email"]), (&before["account_id"], &json!("ada@example.org")));
    moved.get(&format!("/v1/orders/{order}")).await.expect(200);

    let operator = issuer.somebody(&platform, "grace", "grace@example.com", "operator");
    operator.get(&format!("/v1/orders/{order}")).await.expect(200);
    ada.send(Method::POST, &format!("/v1/orders/{order}/dispatch"), None, None).await.expect(403);
    let login = json!({"email": "operator@example.com", "password": "operator-demo"});
    let refused = Customer::nobody(&platform).send(Method::POST, "/v1/tokens", None, Some(login)).await.expect(403);
    assert_eq!(refused.json()["code"], "sign-in-elsewhere");
}
