//! The routes of people: making an account, getting a token, one's own account.

use std::sync::Arc;

use aide::transform::TransformOperation;
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
    accounts::v1::{Address, EraseAccountRequest, GetAccountRequest, LoginRequest, RegisterRequest, SetAddressRequest},
    problem::ProblemCode,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use tonic::Status;

use crate::{
    ASK_DEADLINE, Gateway,
    account_json::AccountJson,
    body::{Body, Query},
    caller::{Customer, Leaver, WhoSignsInHere},
    fields::{Fields, FromFields, Noted, Nothing},
    keys::NoKey,
    openapi,
    problem::Problem,
    spelling::{COUNTRY, EMAIL},
};

/// A token, as RFC 6749 has it told.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Token")]
struct TokenJson {
    access_token: String,
    #[schemars(extend("enum" = ["Bearer"]))]
    token_type: &'static str,
    /// Seconds.
    expires_in: u32,
}

impl FromFields for RegisterRequest {
    fn example() -> Option<serde_json::Value> {
        Some(json!({
            "email": "ada@example.com",
            "password": "a long one that nobody guesses",
            "name": "Ada Lovelace",
            "address": Address::example(),
        }))
    }

    fn from_fields(fields: &mut Fields<'_>) -> Result<Self, Noted> {
        let email = fields.required("email", |value| value.spelled(3..=254, &EMAIL));
        let password = fields.required("password", |value| value.text(8..=128));
        let name = fields.required("name", |value| value.text(1..=100));
        let address = fields.optional("address", |value| value.object(Address::from_fields));
        Ok(Self { email: email?, password: password?, name: name?, address: address? })
    }
}

impl FromFields for LoginRequest {
    fn example() -> Option<serde_json::Value> {
        Some(json!({"email": "ada@example.com", "password": "a long one that nobody guesses"}))
    }

    fn from_fields(fields: &mut Fields<'_>) -> Result<Self, Noted> {
        // of any form: whether they are right is all that counts
        let email = fields.required("email", |value| value.text(1..=254));
        let password = fields.required("password", |value| value.text(1..=128));
        Ok(Self { email: email?, password: password? })
    }
}

impl FromFields for Address {
    fn example() -> Option<serde_json::Value> {
        Some(json!({"line1": "12 St James's Square", "city": "London", "postal_code": "SW1Y 4JH", "country": "GB"}))
    }

    fn from_fields(fields: &mut Fields<'_>) -> Result<Self, Noted> {
        let line1 = fields.required("line1", |value| value.text(1..=200));
        let line2 = fields.optional("line2", |value| value.text(0..=200));
        let city = fields.required("city", |value| value.text(1..=200));
        let postal_code = fields.required("postal_code", |value| value.text(1..=20));
        let country = fields.required("country", |value| value.spelled(2..=2, &COUNTRY));
        Ok(Self {
            line1: line1?,
            line2: line2?.unwrap_or_default(),
            city: city?,
            postal_code: postal_code?,
            country: country?,
        })
    }
}

/// What is said of [`register`].
pub fn register_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    let operation = openapi::named(operation, "register", "accounts", "Make an account");
    let mut operation = openapi::answers::<201, AccountJson>(operation, "The account.");
    openapi::with_header(operation.inner_mut(), 201, &LOCATION, "Where the account is found.");
    openapi::may_end_in(operation.inner_mut(), &[ProblemCode::EmailTaken]);
    operation
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

/// What is said of [`login`].
pub fn login_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    let operation = openapi::named(operation, "logIn", "accounts", "Get a token");
    let mut operation = openapi::answers::<200, TokenJson>(operation, "The token.");
    openapi::may_end_in(operation.inner_mut(), &[ProblemCode::WrongCredentials]);
    operation
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
    let token =
        TokenJson { access_token: answer.access_token, token_type: "Bearer", expires_in: answer.expires_in_seconds };
    Ok(([(CACHE_CONTROL, "no-store")], Json(token)).into_response())
}

/// What is said of [`me`].
pub fn me_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    let operation = openapi::named(operation, "getAccount", "accounts", "Look at your account");
    openapi::answers::<200, AccountJson>(operation, "The account.")
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
    Ok(Json(answer.await.map_err(of_account)?.account.unwrap_or_default().into()))
}

/// What is said of [`set_address`].
pub fn set_address_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    let operation = openapi::named(operation, "setAddress", "accounts", "Say where your parcels go");
    openapi::answers::<200, AccountJson>(operation, "The account, with the address.")
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
    Ok(Json(answer.await.map_err(of_account)?.account.unwrap_or_default().into()))
}

/// What is said of [`erase`].
pub fn erase_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    let erased = "Nothing of it is left but an id that names nobody. Again: the same.";
    openapi::named(operation, "eraseAccount", "accounts", "Have your account erased, for ever")
        .response_with::<204, (), _>(|response| response.description(erased))
}

/// `DELETE /v1/accounts/me`: for ever, and the same again as often as it is asked for.
pub async fn erase(
    State(gateway): State<Arc<Gateway>>,
    Leaver(claims): Leaver,
    _: Body<Nothing>,
) -> Result<StatusCode, Problem> {
    let request = EraseAccountRequest { account_id: claims.account.to_string() };
    let answer = rpc::ask(ASK_DEADLINE, request, |request| {
        let mut accounts = gateway.accounts.clone();
        async move { accounts.erase_account(request).await }
    });
    match answer.await {
        Ok(_) => {}
        // whoever comes from outside and has not been told to accounts: there is nothing to forget
        Err(status) if claims.person.is_some() && rpc::problem_of(&status) == ProblemCode::NotFound => {}
        Err(status) => return Err(of_account(status)),
    }
    gateway.newcomers.forget(claims.account);
    Ok(StatusCode::NO_CONTENT)
}

/// What went wrong with the caller's own account. A token may outlive its account, and then proves nobody any more: a new one
/// is what helps, as for a token that has expired.
pub(crate) fn of_account(status: Status) -> Problem {
    let problem = Problem::from(status);
    match problem.code() {
        ProblemCode::NotFound => Problem::new(ProblemCode::Unauthenticated, "the account of this token is gone"),
        _ => problem,
    }
}

/// What is said of [`jwks`].
pub fn jwks_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    let operation = openapi::named(operation, "getKeys", "accounts", "The keys that tokens are verified with");
    openapi::answers::<200, serde_json::Value>(operation, "A JWK set (RFC 7517).")
}

/// `GET /.well-known/jwks.json`: the gateway's own copy, so that it is there when the issuer is not.
pub async fn jwks(State(gateway): State<Arc<Gateway>>, _: Query<Nothing>) -> Result<Response, Problem> {
    let jwks = gateway
        .keys
        .jwks_json()
        .ok_or_else(|| Problem::new(ProblemCode::Unavailable, NoKey::NotFetched.to_string()))?;
    Ok(([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "public, max-age=300")], jwks).into_response())
}
