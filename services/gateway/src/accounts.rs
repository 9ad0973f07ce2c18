//! The routes of people: making an account, getting a token, one's own account.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION},
    },
    response::{IntoResponse, Response},
};
use contracts::{
    accounts::v1::{Address, GetAccountRequest, LoginRequest, RegisterRequest, SetAddressRequest},
    problem::ProblemCode,
};
use serde_json::json;

use crate::{
    ASK_DEADLINE, Gateway,
    account_json::AccountJson,
    body::{Body, Query},
    caller::{Customer, WhoSignsInHere},
    fields::{Fields, FromFields, Noted, Nothing, Value},
    keys::NoKey,
    problem::Problem,
};

impl FromFields for RegisterRequest {
    fn from_fields(fields: &mut Fields<'_>) -> Result<Self, Noted> {
        let email = fields.required("email", |value| email(&value));
        let password = fields.required("password", |value| value.text(8..=128));
        let name = fields.required("name", |value| value.text(1..=100));
        let address = fields.optional("address", |value| value.object(Address::from_fields));
        Ok(Self { email: email?, password: password?, name: name?, address: address? })
    }
}

impl FromFields for LoginRequest {
    fn from_fields(fields: &mut Fields<'_>) -> Result<Self, Noted> {
        // of any form: whether they are right is all that counts
        let email = fields.required("email", |value| value.text(1..=254));
        let password = fields.required("password", |value| value.text(1..=128));
        Ok(Self { email: email?, password: password? })
    }
}

impl FromFields for Address {
    fn from_fields(fields: &mut Fields<'_>) -> Result<Self, Noted> {
        let line1 = fields.required("line1", |value| value.text(1..=200));
        let line2 = fields.optional("line2", |value| value.text(0..=200));
        let city = fields.required("city", |value| value.text(1..=200));
        let postal_code = fields.required("postal_code", |value| value.text(1..=20));
        let country = fields.required("country", |value| country(&value));
        Ok(Self {
            line1: line1?,
            line2: line2?.unwrap_or_default(),
            city: city?,
            postal_code: postal_code?,
            country: country?,
        })
    }
}

/// As accounts wants it: something on both sides of the last `@`, and no white space.
fn email(value: &Value<'_>) -> Result<String, Noted> {
    let text = value.text(3..=254)?;
    let sides = text.rsplit_once('@');
    let right = sides.is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
    if right && !text.contains(char::is_whitespace) { Ok(text) } else { value.wrong("must look like name@example.com") }
}

fn country(value: &Value<'_>) -> Result<String, Noted> {
    let wrong = "must be two upper-case letters, as in ISO 3166-1";
    let text = value.text(2..=2)?;
    if text.bytes().all(|letter| letter.is_ascii_uppercase()) { Ok(text) } else { value.wrong(wrong) }
}

/// `POST /v1/accounts`
pub async fn register(
    State(gateway): State<Arc<Gateway>>,
    _: WhoSignsInHere,
    body: Body<RegisterRequest>,
) -> Result<Response, Problem> {
    // once: a repeated call would find the email taken by the first
    let answer = rpc::ask_once(ASK_DEADLINE, body.value, |request| {
        let mut accounts = gateway.accounts.clone();
        async move { accounts.register(request).await }
    });
    let account = AccountJson::from(answer.await?.account.unwrap_or_default());
    Ok((StatusCode::CREATED, [(LOCATION, "/v1/accounts/me")], Json(account)).into_response())
}

/// `POST /v1/tokens`
pub async fn login(
    State(gateway): State<Arc<Gateway>>,
    _: WhoSignsInHere,
    body: Body<LoginRequest>,
) -> Result<Response, Problem> {
    // once: accounts sheds logins when there are too many, and repeating them makes more
    let answer = rpc::ask_once(ASK_DEADLINE, body.value, |request| {
        let mut accounts = gateway.accounts.clone();
        async move { accounts.login(request).await }
    });
    let answer = answer.await?;
    let token = json!({
        "access_token": answer.access_token,
        "token_type": "Bearer",
        "expires_in": answer.expires_in_seconds,
    });
    Ok(([(CACHE_CONTROL, "no-store")], Json(token)).into_response())
}

/// `GET /v1/accounts/me`
pub async fn me(
    State(gateway): State<Arc<Gateway>>,
    Customer(id): Customer,
    _: Query<Nothing>,
) -> Result<Json<AccountJson>, Problem> {
    let request = GetAccountRequest { account_id: id.to_string() };
    let answer = rpc::ask(ASK_DEADLINE, request, |request| {
        let mut accounts = gateway.accounts.clone();
        async move { accounts.get_account(request).await }
    });
    Ok(Json(answer.await?.account.unwrap_or_default().into()))
}

/// `PUT /v1/accounts/me/address`
pub async fn set_address(
    State(gateway): State<Arc<Gateway>>,
    Customer(id): Customer,
    body: Body<Address>,
) -> Result<Json<AccountJson>, Problem> {
    let request = SetAddressRequest { account_id: id.to_string(), address: Some(body.value) };
    let answer = rpc::ask(ASK_DEADLINE, request, |request| {
        let mut accounts = gateway.accounts.clone();
        async move { accounts.set_address(request).await }
    });
    Ok(Json(answer.await?.account.unwrap_or_default().into()))
}

/// `GET /.well-known/jwks.json`: the gateway's own copy, so that it is there when the issuer is not.
pub async fn jwks(State(gateway): State<Arc<Gateway>>, _: Query<Nothing>) -> Result<Response, Problem> {
    let jwks = gateway
        .keys
        .jwks_json()
        .ok_or_else(|| Problem::new(ProblemCode::Unavailable, NoKey::NotFetched.to_string()))?;
    Ok(([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "public, max-age=300")], jwks).into_response())
}
