//! Who calls, from the token alone: whatever else a request says about its sender is not looked at. A handler takes one
//! of these types, so that no route with a caller can be written without naming who that may be.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header::AUTHORIZATION, request::Parts},
};
use contracts::{ids::AccountId, order::v1, problem::ProblemCode};

use crate::{
    Gateway,
    issuer::{Claims, Role},
    problem::Problem,
    token::Refused,
};

/// Somebody with the role `customer`, and an account: whoever comes from an issuer outside is given one.
#[derive(Debug, Clone, Copy)]
pub struct Customer(pub AccountId);

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
        let claims = authenticate(&parts.headers, gateway).await?;
        if !claims.roles.contains(&Role::Customer) {
            return Err(forbidden("customers"));
        }
        gateway.newcomers.ensure(&claims).await?;
        Ok(Self(claims.account))
    }
}

impl FromRequestParts<Arc<Gateway>> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, gateway: &Arc<Gateway>) -> Result<Self, Problem> {
        let claims = authenticate(&parts.headers, gateway).await?;
        if claims.roles.contains(&Role::Operator) { Ok(Self(claims.account)) } else { Err(forbidden("operators")) }
    }
}

impl FromRequestParts<Arc<Gateway>> for Account {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, gateway: &Arc<Gateway>) -> Result<Self, Problem> {
        let claims = authenticate(&parts.headers, gateway).await?;
        if claims.roles.is_empty() { Err(forbidden("customers and operators")) } else { Ok(Self(claims.account)) }
    }
}

impl FromRequestParts<Arc<Gateway>> for Viewer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, gateway: &Arc<Gateway>) -> Result<Self, Problem> {
        let claims = authenticate(&parts.headers, gateway).await?;
        if claims.roles.contains(&Role::Operator) {
            Ok(Self::Operator(claims.account))
        } else if claims.roles.contains(&Role::Customer) {
            Ok(Self::Customer(claims.account))
        } else {
            Err(forbidden("customers and operators"))
        }
    }
}

fn forbidden(who: &str) -> Problem {
    Problem::new(ProblemCode::Forbidden, format!("this is for {who}"))
}

async fn authenticate(headers: &HeaderMap, gateway: &Gateway) -> Result<Arc<Claims>, Problem> {
    let token = bearer_token(headers)
        .ok_or_else(|| Problem::new(ProblemCode::Unauthenticated, "send a token: Authorization: Bearer …"))?;
    gateway.tokens.verify(token).await.map_err(|refused| {
        let code = match refused {
            Refused::Expired | Refused::TooLong | Refused::Invalid => ProblemCode::Unauthenticated,
            Refused::NoKeys => ProblemCode::Unavailable,
        };
        Problem::new(code, refused.to_string())
    })
}

/// The token of `Authorization: Bearer <token>`, when it is there exactly once.
fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (scheme, token) = values.next()?.to_str().ok()?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && values.next().is_none()).then(|| token.trim_start())
}
