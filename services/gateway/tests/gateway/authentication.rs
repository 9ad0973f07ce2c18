//! Who may call what, and which tokens prove it.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use serde_json::{Value, json};

use crate::{
    client::{ADDRESS, Key, ROUTES, Running, Who, claims, now, refused, start, with},
    stand_in::stand_in,
};

#[tokio::test]
async fn a_route_with_a_caller_wants_a_token_with_the_right_role() {
    let gateway = start(&[]).await;
    for (method, path, who, body) in ROUTES {
        let without = refused(gateway.right(method, path, body)).await;
        let with_role =
            async |role| refused(gateway.right(method, path, body).bearer_auth(gateway.key.token(role))).await;
        let roles = [with_role("customer").await, with_role("operator").await, with_role("nobody").await];
        // who is let in finds that the service behind is away
        let (in_, out) = (with(503, "unavailable"), with(403, "forbidden"));
        let expected = match who {
            Who::Anyone => [in_.clone(), in_.clone(), in_],
            Who::Customer => [in_, out.clone(), out],
            Who::Operator => [out.clone(), in_, out],
            Who::Both => [in_.clone(), in_, out],
        };
        assert_eq!(roles, expected, "{method} {path}");
        let expected = if who == Who::Anyone { with(503, "unavailable") } else { with(401, "unauthenticated") };
        assert_eq!(without, expected, "{method} {path}");
    }
}

async fn me_with(gateway: &Running, token: &str) -> (u16, String) {
    refused(gateway.request("GET", "/v1/accounts/me").bearer_auth(token)).await
}

#[tokio::test]
async fn only_a_whole_and_valid_token_of_accounts_is_taken() {
    let gateway = start(&[]).await;
    let key = &gateway.key;
    let right = claims("customer");
    assert_eq!(me_with(&gateway, &key.sign(&key.header(), &right)).await, with(503, "unavailable"));

    let but = |name: &str, value: Value| {
        let mut claims = right.clone();
        claims[name] = value;
        key.sign(&key.header(), &claims)
    };
    let without = |name: &str| {
        let mut claims = right.clone();
        claims.as_object_mut().unwrap().remove(name).unwrap();
        key.sign(&key.header(), &claims)
    };
    let unsigned = |header: Value| {
        let [header, claims] = [&header, &right].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        format!("{header}.{claims}.")
    };
    let header = |change: &dyn Fn(&mut Header)| {
        let mut header = key.header();
        change(&mut header);
        key.sign(&header, &right)
    };
    let stranger = Key::new("first");
    let strangers_jwk: Jwk =
        serde_json::from_value(serde_json::from_str::<Value>(&stranger.jwks()).unwrap()["keys"][0].clone()).unwrap();
    let shared_secret = |secret: &[u8]| {
        let header = Header { kid: Some("first".to_owned()), ..Header::new(Algorithm::HS256) };
        jsonwebtoken::encode(&header, &right, &EncodingKey::from_secret(secret)).unwrap()
    };
    let whole = key.sign(&key.header(), &right);
    let cases = [
        ("no token at all", String::new()),
        ("not a token", "abc".to_owned()),
        ("alg none", unsigned(json!({"alg": "none", "kid": "first"}))),
        ("no signature", unsigned(json!({"alg": "EdDSA", "kid": "first"}))),
        ("half a signature", whole[..whole.len() - 40].to_owned()),
        ("a changed claim", whole.replacen('.', ".e", 1)),
        (
            "HS256 with the public key, as it is",
            shared_secret(aws_lc_rs::signature::KeyPair::public_key(&key.pair).as_ref()),
        ),
        ("HS256 with the public key, in base64", shared_secret(key.public().as_bytes())),
        ("an unknown key's name", header(&|header| header.kid = Some("second".to_owned()))),
        ("no key's name", header(&|header| header.kid = None)),
        ("an extension that must be understood", header(&|header| header.crit = Some(vec!["b64".to_owned()]))),
        ("signed by a stranger", stranger.token("customer")),
        ("signed by a stranger, who says where the key is", {
            let jku = Some("https://evil.example/jwks.json".to_owned());
            stranger.sign(&Header { jku, ..stranger.header() }, &right)
        }),
        ("signed by a stranger, who brings the key along", {
            stranger.sign(&Header { jwk: Some(strangers_jwk), ..stranger.header() }, &right)
        }),
        ("another issuer", but("iss", json!("someone"))),
        ("another audience", but("aud", json!("elsewhere"))),
        ("expired", but("exp", json!(now() - 6))),
        ("exp as text", but("exp", json!((now() + 900).to_string()))),
        ("valid later", but("nbf", json!(now() + 60))),
        ("a subject that is no account", but("sub", json!("ada"))),
        ("roles that are no list", but("roles", json!("customer"))),
        ("no exp", without("exp")),
        ("no nbf", without("nbf")),
        ("no iss", without("iss")),
        ("no aud", without("aud")),
        ("no sub", without("sub")),
        ("no roles", without("roles")),
    ];
    for (what, token) in cases {
        assert_eq!(me_with(&gateway, &token).await, with(401, "unauthenticated"), "{what}");
    }
}

#[tokio::test]
async fn a_token_counts_only_where_it_belongs() {
    let gateway = start(&[]).await;
    let token = gateway.key.token("customer");
    let me = || gateway.request("GET", "/v1/accounts/me");
    for request in [
        me().header("authorization", &token),
        me().header("authorization", format!("Basic {token}")),
        me().header("authorization", format!("Bearer {token}")).header("authorization", format!("Bearer {token}")),
        me().header("cookie", format!("access_token={token}")),
        me().header("x-user-id", crate::client::CUSTOMER).header("x-roles", "customer"),
    ] {
        assert_eq!(refused(request).await, with(401, "unauthenticated"));
    }
    let in_the_query = gateway.request("GET", &format!("/v1/accounts/me?access_token={token}"));
    assert_eq!(refused(in_the_query).await, with(401, "unauthenticated"));
    assert_eq!(refused(me().header("authorization", format!("bearer {token}"))).await, with(503, "unavailable"));
}

#[tokio::test]
async fn a_token_whose_account_is_gone_proves_nobody() {
    // as gRPC says that there is no such thing
    let url = stand_in(async || [("content-type", "application/grpc"), ("grpc-status", "5")]).await;
    let gateway = start(&[&format!("--accounts-url={url}")]).await;
    for (method, path, body) in [
        ("GET", "/v1/accounts/me", None),
        ("PUT", "/v1/accounts/me/address", Some(ADDRESS)),
        ("DELETE", "/v1/accounts/me", None),
    ] {
        let request = gateway.right_from(method, path, Who::Customer, body);
        assert_eq!(refused(request).await, with(401, "unauthenticated"), "{method} {path}");
    }
}

#[tokio::test]
async fn headers_that_claim_an_identity_do_not_change_who_calls() {
    let gateway = start(&[]).await;
    let request = gateway.right_from("PUT", "/v1/products/mug", Who::Customer, Some(crate::client::PRODUCT));
    let request =
        request.header("x-user-id", "1").header("x-user-roles", "operator").header("x-forwarded-user", "root");
    assert_eq!(refused(request).await, with(403, "forbidden"));
}

#[tokio::test]
async fn a_new_key_takes_the_place_of_the_old_one() {
    let gateway = start(&[]).await;
    let second = Key::new("second");
    assert_eq!(me_with(&gateway, &second.token("customer")).await, with(401, "unauthenticated"));
    gateway.gateway.keys.replace(second.jwks()).unwrap();
    assert_eq!(me_with(&gateway, &second.token("customer")).await, with(503, "unavailable"));
    assert_eq!(me_with(&gateway, &gateway.key.token("customer")).await, with(401, "unauthenticated"));
    let told = gateway.request("GET", "/.well-known/jwks.json").send().await.unwrap();
    assert_eq!(told.text().await.unwrap(), second.jwks());
}
