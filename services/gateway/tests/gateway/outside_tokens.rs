//! Tokens of an issuer outside: which are taken, and as what.

use aws_lc_rs::signature::{RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, RsaPublicKeyComponents};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::{
    client::{ADDRESS, LOGIN, ORDER, PERSON, Running, now, problem, refused, with},
    outside_issuer::{AUDIENCE, Answer, ISSUER, OutsideIssuer, Signer},
};

/// An RSA key of 1024 bits, which nobody makes any more, and a token that was signed with it. It is right until 2100 but for that.
const SHORT_RSA_MODULUS: &str = "-uk5blTyONJAu6lG0oh_ehQITrj9nP03_bDuqOLKKVaoc3ty_i12eIHVZ7XBQLCnPYOpRJZEoeyoj3tqbeyWGNP6tTOGq74dcgCy\
    dZkZflJdT2tuROv2dT2aAYxgluC6QVfVgvhC6WlHcUT8AOF5td3iCYWpyV4Hqv5U-TUo-Qc";
const SHORT_RSA_TOKEN: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYS0xMDI0In0.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlL3JlYWxtcy9zaG9wIiwiYXVkIj\
    oic2hvcCIsInN1YiI6ImFkYSIsInJvbGVzIjpbImN1c3RvbWVyIl0sImV4cCI6NDEwMjQ0NDgwMH0.yvyiGYxj_sgOiAiTG7EVH5-I-8tiD0gG\
    e5OqBDxb2NY78QPIouCJkWI9yT-eXUZCxi8ARXnURk-gbvdVV-M5uH-kIAI7O06BFZnme9dS0yMmoHuh9RJ81nx3l1S7u3xucM4ADuY3YVetVv\
    WFL1-rkD1kcBIaxwFnj6e2DfbdBks";

/// What a gateway takes the owner of a token for. Nobody is asked: a customer may not name a customer, and who is an operator finds
/// that order is away.
async fn taken_for(gateway: &Running, token: &str) -> &'static str {
    let request = gateway.request("GET", &format!("/v1/orders?customer_id={}", crate::client::CUSTOMER));
    match refused(request.bearer_auth(token)).await {
        (401, code) if code == "unauthenticated" => "nobody",
        (403, code) if code == "forbidden" => "somebody without a role",
        (422, code) if code == "invalid" => "a customer",
        (503, code) if code == "unavailable" => "an operator",
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_kind_of_key_signs_tokens_that_are_taken() {
    let (ed25519, p256, rsa) = (Signer::ed25519("ed25519"), Signer::p256("p256"), Signer::rsa("rsa"));
    let issuer = OutsideIssuer::start(Answer::Keys(vec![ed25519.jwk(), p256.jwk(), rsa.jwk()])).await;
    let gateway = issuer.gateway(&[]).await;
    for (what, token) in [
        ("EdDSA", ed25519.token()),
        ("ES256", p256.token()),
        ("RS256", rsa.token()),
        ("PS256", rsa.token().header("alg", "PS256")),
        ("no typ", p256.token().without_header("typ")),
        ("an access token (RFC 9068)", p256.token().header("typ", "at+JWT")),
        ("the same, written out", p256.token().header("typ", "application/at+jwt")),
        ("several audiences, with ours", p256.token().claim("aud", json!(["account", AUDIENCE]))),
        ("a time with a fraction", p256.token().claim("exp", json!(1e10 + 0.5))),
        ("expired, within the leeway", p256.token().claim("exp", now() - 4)),
        ("an nbf that has come", p256.token().claim("nbf", now() - 60)),
        ("a certificate beside its key's name", p256.token().header("x5t", "c29tZXRoaW5n")),
        ("just short of 8 KiB", p256.token().claim("groups", "x".repeat(5700))),
        ("claims that nobody knows", p256.token().claim("groups", json!({"a": [1, null]}))),
    ] {
        assert_eq!(taken_for(&gateway, &token.signed()).await, "a customer", "{what}");
    }
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn a_forged_token_is_nobodys() {
    let (ed25519, p256, rsa) = (Signer::ed25519("ed25519"), Signer::p256("p256"), Signer::rsa("rsa"));
    let secret = Signer::ed25519("secret");
    let short = json!({"kty": "RSA", "kid": "rsa-1024", "n": SHORT_RSA_MODULUS, "e": "AQAB"});
    let shared = json!({"kty": "oct", "kid": "secret", "alg": "HS256", "k": "c2VjcmV0"});
    let encrypts = with_use(Signer::rsa("encrypts").jwk(), "enc");
    let keys = vec![ed25519.jwk(), p256.jwk(), rsa.jwk(), short, shared, encrypts];
    let issuer = OutsideIssuer::start(Answer::Keys(keys)).await;
    let gateway = issuer.gateway(&[]).await;
    assert_eq!(taken_for(&gateway, &ed25519.token().signed()).await, "a customer");

    let stranger = Signer::ed25519("ed25519");
    let hostile = OutsideIssuer::start(Answer::Keys(vec![stranger.jwk()])).await;
    let forged = || stranger.token();
    let right = || p256.token();
    let whole = right().signed();
    let (message, _) = whole.rsplit_once('.').unwrap();
    for (what, token) in [
        ("alg none, unsigned", right().header("alg", "none").unsigned()),
        ("alg None, unsigned", right().header("alg", "None").unsigned()),
        ("alg none, signed", right().header("alg", "none").signed()),
        ("unsigned", right().unsigned()),
        ("of two parts", message.to_owned()),
        ("HS256 with the RSA key for a secret", rsa.token().header("alg", "HS256").signed_with_secret(&rsa.public())),
        ("HS256 with its modulus", rsa.token().header("alg", "HS256").signed_with_secret(text(&rsa, "n").as_bytes())),
        ("HS256 with the P-256 key", right().header("alg", "HS256").signed_with_secret(&p256.public())),
        ("HS256 with the Ed25519 key", ed25519.token().header("alg", "HS256").signed_with_secret(&ed25519.public())),
        ("EdDSA, in truth an HMAC", ed25519.token().signed_with_secret(&ed25519.public())),
        ("HS256 with a secret of the set", secret.token().header("alg", "HS256").signed_with_secret(b"secret")),
        ("ES256 by the name of an Ed25519 key", right().header("kid", "ed25519").signed()),
        ("EdDSA by the name of a P-256 key", ed25519.token().header("kid", "p256").signed()),
        ("RS256 by the name of a P-256 key", rsa.token().header("kid", "p256").signed()),
        ("an algorithm of its family that is not taken", rsa.token().header("alg", "RS512").signed()),
        ("one that nobody knows", right().header("alg", "ES256K").signed()),
        ("no algorithm", right().without_header("alg").signed()),
        ("RSA of 1024 bits", SHORT_RSA_TOKEN.to_owned()),
        ("a key for encryption", right().header("kid", "encrypts").signed()),
        ("an unknown kid", right().header("kid", "unknown").signed()),
        ("no kid", right().without_header("kid").signed()),
        ("a kid that is no text", right().header("kid", 5).signed()),
        ("signed by a stranger", forged().signed()),
        ("who says where the keys are (jku)", forged().header("jku", hostile.url.clone()).signed()),
        ("who says where the certificates are (x5u)", forged().header("x5u", hostile.url.clone()).signed()),
        ("who brings the key (jwk)", forged().header("jwk", stranger.jwk()).signed()),
        ("who brings a certificate (x5c)", forged().header("x5c", json!(["MIIB"])).signed()),
        ("crit", right().header("crit", json!(["exp"])).signed()),
        ("crit of nothing", right().header("crit", json!([])).signed()),
        ("of another type", right().header("typ", "logout+jwt").signed()),
        ("another issuer", right().claim("iss", "https://issuer.example/realms/other").signed()),
        ("our issuer and a point", right().claim("iss", format!("{ISSUER}/")).signed()),
        ("accounts as its issuer", right().claim("iss", "postbox-accounts").signed()),
        ("several issuers, with ours", right().claim("iss", json!([ISSUER])).signed()),
        ("another audience", right().claim("aud", "elsewhere").signed()),
        ("the audience of accounts", right().claim("aud", "postbox").signed()),
        ("several audiences, without ours", right().claim("aud", json!(["account", "shops"])).signed()),
        ("an empty list of audiences", right().claim("aud", json!([])).signed()),
        ("expired", right().claim("exp", now() - 6).signed()),
        ("exp as text", right().claim("exp", (now() + 900).to_string()).signed()),
        ("exp below 0", right().claim("exp", -1).signed()),
        ("exp beyond all numbers", right().claim("exp", json!(1e300)).signed()),
        ("valid later", right().claim("nbf", now() + 60).signed()),
        ("nbf as text", right().claim("nbf", now().to_string()).signed()),
        ("no exp", right().without("exp").signed()),
        ("no iss", right().without("iss").signed()),
        ("no aud", right().without("aud").signed()),
        ("no sub", right().without("sub").signed()),
        ("an empty sub", right().claim("sub", "").signed()),
        ("a sub of 256 characters", right().claim("sub", "x".repeat(256)).signed()),
        ("a sub that is no text", right().claim("sub", 5).signed()),
        ("roles as a text", right().claim("roles", "customer").signed()),
        ("roles that are no texts", right().claim("roles", json!(["customer", 1])).signed()),
        ("more than 8 KiB", right().claim("groups", "x".repeat(7 * 1024)).signed()),
    ] {
        assert_eq!(taken_for(&gateway, &token).await, "nobody", "{what}: {token}");
    }
    assert_eq!(hostile.asked(), 0, "nobody is asked for keys at an address that a token names");
}

/// So that the row above speaks of the key's length, and of nothing else.
#[test]
fn the_token_of_the_short_key_is_signed_right() {
    let (message, signature) = SHORT_RSA_TOKEN.rsplit_once('.').unwrap();
    let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let key = RsaPublicKeyComponents { n: bytes(SHORT_RSA_MODULUS), e: vec![1, 0, 1] };
    let algorithm = &RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY;
    key.verify(algorithm, message.as_bytes(), &bytes(signature)).unwrap();
    let claims: Value = serde_json::from_slice(&bytes(message.split_once('.').unwrap().1)).unwrap();
    assert_eq!((claims["iss"].as_str(), claims["aud"].as_str()), (Some(ISSUER), Some(AUDIENCE)));
}

fn text(signer: &Signer, member: &str) -> String {
    signer.jwk()[member].as_str().unwrap().to_owned()
}

fn with_use(mut jwk: Value, its_use: &str) -> Value {
    jwk["use"] = its_use.into();
    jwk
}

#[tokio::test]
async fn roles_are_read_where_the_setting_says() {
    let signer = Signer::p256("first");
    let issuer = OutsideIssuer::start(Answer::Keys(vec![signer.jwk()])).await;
    let keycloak = || signer.token().without("roles").claim("realm_access", json!({"roles": ["uma", "operator"]}));
    let none = || signer.token().without("roles");
    let plain: &[&str] = &[];
    let by_path: &[&str] = &["--token-roles-claim=realm_access.roles"];
    let by_default: &[&str] = &["--token-default-role=customer"];
    for (settings, token, what) in [
        (plain, signer.token(), "a customer"),
        (plain, signer.token().claim("roles", json!(["operator"])), "an operator"),
        (plain, none(), "somebody without a role"),
        (plain, keycloak(), "somebody without a role"),
        (by_path, keycloak(), "an operator"),
        (by_path, signer.token(), "somebody without a role"),
        (by_default, none(), "a customer"),
        (by_default, signer.token().claim("roles", json!(["operator"])), "an operator"),
    ] {
        let gateway = issuer.gateway(settings).await;
        assert_eq!(taken_for(&gateway, &token.signed()).await, what, "{settings:?}");
    }
}

#[tokio::test]
async fn a_token_of_accounts_is_nobodys() {
    let signer = Signer::ed25519("first");
    let issuer = OutsideIssuer::start(Answer::Keys(vec![signer.jwk()])).await;
    let gateway = issuer.gateway(&[]).await;
    assert_eq!(taken_for(&gateway, &signer.token().signed()).await, "a customer");
    assert_eq!(taken_for(&gateway, &gateway.key.token("customer")).await, "nobody");
}

#[tokio::test]
async fn people_register_and_sign_in_at_the_issuer() {
    let issuer = OutsideIssuer::start(Answer::Keys(Vec::new())).await;
    let gateway = issuer.gateway(&[]).await;
    for (path, body) in [("/v1/accounts", PERSON), ("/v1/tokens", LOGIN)] {
        let (status, code, document) = problem(gateway.right("POST", path, Some(body))).await;
        assert_eq!((status, code), with(403, "sign-in-elsewhere"), "{path}");
        assert!(document["detail"].as_str().unwrap().contains(ISSUER), "{document}");
        assert_eq!(refused(gateway.send_json("POST", path, "{}")).await, with(403, "sign-in-elsewhere"), "{path}");
    }
}

#[tokio::test]
async fn a_customer_needs_an_account_to_order_and_none_to_look() {
    let signer = Signer::p256("first");
    let issuer = OutsideIssuer::start(Answer::Keys(vec![signer.jwk()])).await;
    let gateway = issuer.gateway(&[]).await;
    let token = signer.token().signed();
    let nameless = signer.token().without("email").signed();
    let routes = [
        ("POST", "/v1/orders", Some(ORDER)),
        ("GET", "/v1/accounts/me", None),
        ("PUT", "/v1/accounts/me/address", Some(ADDRESS)),
    ];
    for (method, path, body) in routes {
        // accounts is away, so nobody can make one
        let request = || gateway.right(method, path, body);
        assert_eq!(refused(request().bearer_auth(&token)).await, with(503, "unavailable"), "{method} {path}");
        let (status, code, document) = problem(request().bearer_auth(&nameless)).await;
        assert_eq!((status, code), with(403, "forbidden"), "{method} {path}");
        assert!(document["detail"].as_str().unwrap().contains("`email`"), "{document}");
    }
    assert_eq!(taken_for(&gateway, &nameless).await, "a customer");
}
