//! Who calls, from the token alone: whatever else a request says about its sender is not looked at. A handler takes one
//! of these types, so that no route with a caller can be written without naming who that may be.

use std::sync::Arc;

use aide::{OperationInput, generate::GenContext, openapi::Operation};
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header::AUTHORIZATION, request::Parts},
};
use contracts::{ids::AccountId, order::v1, problem::ProblemCode};

use crate::{
    Gateway,
    issuer::{Claims, Role},
    openapi,
    problem::Problem,
    rate_limits::CountedLater,
    token::Refused,
};

/// Who sends a request, in its extensions, from when it is known: before the route is entered, if the token was known, or when it was verified.
#[derive(Debug, Clone)]
pub struct Known(pub Arc<Claims>);

/// Somebody with the role `customer`, and an account: whoever comes from an issuer outside is given one, unless it was erased.
#[derive(Debug, Clone, Copy)]
pub struct Customer(pub AccountId);

/// Somebody with the role `customer` who wants to be forgotten, with or without an account: nobody is given one for that.
#[derive(Debug, Clone)]
pub struct Leaver(pub Arc<Claims>);

/// Somebody with the role `operator`.
#[derive(Debug, Clone, Copy)]
pub struct Operator(pub AccountId);

/// Somebody with either role, who looks at what is his own.
#[derive(Debug, Clone, Copy)]
pub struct Account(pub AccountId);

/// Somebody who looks at orders: a customer at their own, an operator at everyone's.
#[derive(Debug, Clone, Copy)]
pub enum Viewer {
    /// Sees the orders of this account.
    Customer(AccountId),
    /// Sees every order; this is the operator's own account.
    Operator(AccountId),
}

impl From<Viewer> for v1::Viewer {
    fn from(viewer: Viewer) -> Self {
        let who = match viewer {
            Viewer::Customer(id) => v1::viewer::Who::CustomerId(id.to_string()),
            Viewer::Operator(id) => v1::viewer::Who::Operator(v1::Operator { account_id: id.to_string() }),
        };
        Self { who: Some(who) }
    }
}

/// Anybody, where accounts signs people in. With an issuer outside, nobody: 403 `sign-in-elsewhere`.
#[derive(Debug, Clone, Copy)]
pub struct WhoSignsInHere;

impl FromRequestParts<Arc<Gateway>> for WhoSignsInHere {
    type Rejection = Problem;

    async fn from_request_parts(_: &mut Parts, gateway: &Arc<Gateway>) -> Result<Self, Problem> {
        gateway.issuer.outside().map_or(Ok(Self), |issuer| {
            let detail = format!("accounts and tokens are those of {issuer}: register and sign in there");
            Err(Problem::new(ProblemCode::SignInElsewhere, detail))
        })
    }
}

impl FromRequestParts<Arc<Gateway>> for Customer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, gateway: &Arc<Gateway>) -> Result<Self, Problem> {
        let claims = authenticate(parts, gateway).await?;
        if !claims.roles.contains(&Role::Customer) {
            return Err(forbidden("customers"));
        }
        gateway.newcomers.ensure(&claims).await?;
        Ok(Self(claims.account))
    }
}

impl FromRequestParts<Arc<Gateway>> for Leaver {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, gateway: &Arc<Gateway>) -> Result<Self, Problem> {
        let claims = authenticate(parts, gateway).await?;
        if claims.roles.contains(&Role::Customer) { Ok(Self(claims)) } else { Err(forbidden("customers")) }
    }
}

impl FromRequestParts<Arc<Gateway>> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, gateway: &Arc<Gateway>) -> Result<Self, Problem> {
        let claims = authenticate(parts, gateway).await?;
        if claims.roles.contains(&Role::Operator) { Ok(Self(claims.account)) } else { Err(forbidden("operators")) }
    }
}

impl FromRequestParts<Arc<Gateway>> for Account {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, gateway: &Arc<Gateway>) -> Result<Self, Problem> {
        let claims = authenticate(parts, gateway).await?;
        if claims.roles.is_empty() { Err(forbidden("customers and operators")) } else { Ok(Self(claims.account)) }
    }
}

impl FromRequestParts<Arc<Gateway>> for Viewer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, gateway: &Arc<Gateway>) -> Result<Self, Problem> {
        let claims = authenticate(parts, gateway).await?;
        if claims.roles.contains(&Role::Operator) {
            Ok(Self::Operator(claims.account))
        } else if claims.roles.contains(&Role::Customer) {
            Ok(Self::Customer(claims.account))
        } else {
            Err(forbidden("customers and operators"))
        }
    }
}

impl OperationInput for WhoSignsInHere {
    fn operation_input(_: &mut GenContext, operation: &mut Operation) {
        openapi::may_end_in(operation, &[ProblemCode::SignInElsewhere]);
    }
}

impl OperationInput for Customer {
    fn operation_input(_: &mut GenContext, operation: &mut Operation) {
        openapi::needs_role(operation, &[Role::Customer]);
    }
}

impl OperationInput for Leaver {
    fn operation_input(_: &mut GenContext, operation: &mut Operation) {
        openapi::needs_role(operation, &[Role::Customer]);
    }
}

impl OperationInput for Operator {
    fn operation_input(_: &mut GenContext, operation: &mut Operation) {
        openapi::needs_role(operation, &[Role::Operator]);
    }
}

impl OperationInput for Account {
    fn operation_input(_: &mut GenContext, operation: &mut Operation) {
        openapi::needs_role(operation, &[Role::Customer, Role::Operator]);
    }
}

impl OperationInput for Viewer {
    fn operation_input(_: &mut GenContext, operation: &mut Operation) {
        openapi::needs_role(operation, &[Role::Customer, Role::Operator]);
    }
}

fn forbidden(who: &str) -> Problem {
    Problem::new(ProblemCode::Forbidden, format!("this is for {who}"))
}

/// Who sends a request, when that can be told without verifying anything.
pub fn known(headers: &HeaderMap, gateway: &Gateway) -> Option<Arc<Claims>> {
    gateway.tokens.known(bearer_token(headers)?)
}

async fn authenticate(parts: &mut Parts, gateway: &Gateway) -> Result<Arc<Claims>, Problem> {
    if let Some(Known(claims)) = parts.extensions.get() {
        return Ok(claims.clone());
    }
    let token = bearer_token(&parts.headers)
        .ok_or_else(|| Problem::new(ProblemCode::Unauthenticated, "send a token: Authorization: Bearer …"))?;
    let claims = gateway.tokens.verify(token).await.map_err(|refused| {
        let code = match refused {
            Refused::Expired | Refused::TooLong | Refused::Invalid => ProblemCode::Unauthenticated,
            Refused::NoKeys => ProblemCode::Unavailable,
        };
        Problem::new(code, refused.to_string())
    })?;
    if let Some(later) = parts.extensions.remove::<CountedLater>() {
        later.count(&claims, gateway)?;
    }
    // for whoever asks next, like a stream that ends with the token
    parts.extensions.insert(Known(claims.clone()));
    Ok(claims)
}

/// The token of `Authorization: Bearer <token>`, when it is there exactly once.
fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (scheme, token) = values.next()?.to_str().ok()?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && values.next().is_none()).then(|| token.trim_start())
}

#[cfg(test)]
mod fuzz {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_token_is_the_whole_rest_of_the_one_header_that_has_it() {
        let examples =
            ["Bearer abc.def.ghi", "bearer  a b", "Basic abc", "Bearer a\nBearer a", "Bearer", " Bearer \tx"];
        fuzzing::target!("bearer", &examples, |bytes| {
            let mut headers = HeaderMap::new();
            for line in bytes.split(|&byte| byte == b'\n') {
                let Ok(value) = HeaderValue::from_bytes(line) else { return };
                headers.append(AUTHORIZATION, value);
            }
            let Some(token) = bearer_token(&headers) else { return };
            let value = headers[AUTHORIZATION].to_str().expect("it was read");
            assert_eq!(headers.get_all(AUTHORIZATION).iter().count(), 1);
            assert_eq!(
                value.to_ascii_lowercase().strip_prefix("bearer ").map(str::trim_start),
                Some(token.to_ascii_lowercase().as_str())
            );
            assert!(value.ends_with(token));
        });
    }
}
