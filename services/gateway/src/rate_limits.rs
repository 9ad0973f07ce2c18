//! Which limit a request counts for, before anything else about it is looked at.
//!
//! Whoever brings a token that was verified before counts as himself, wherever he is; everybody else counts for the address that he comes
//! from. A token that nobody has seen yet is not believed: its request counts for the address, and once the token was verified, which
//! costs more than all of this, for its account as well. New accounts and new tokens cost a password hash, so they have a limit of
//! their own, whatever else they bring.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{Method, header::AUTHORIZATION},
    middleware::Next,
    response::{IntoResponse, Response},
};
use contracts::ids::AccountId;
use service_runtime::Shutdown;
use tokio::time::sleep;

use crate::{
    Gateway,
    caller::{self, Known},
    client_address::{Origin, Peer, TrustedProxies},
    config::{Config, RateLimitConfig},
    issuer::{Claims, Role},
    limit::{Limit, Standing},
    problem::Problem,
    routes,
};

const CUSTOMER: &str = "customer";
const OPERATOR: &str = "operator";
const ADDRESS: &str = "address";
const PASSWORD: &str = "password";

/// The names of all limits, as clients and metrics are told them.
pub const NAMES: [&str; 4] = [CUSTOMER, OPERATOR, ADDRESS, PASSWORD];

/// How often keys for which nothing counts any more are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(10);

/// The limits of this process.
#[derive(Debug)]
pub struct RateLimits {
    customers: Option<Limit<AccountId>>,
    operators: Option<Limit<AccountId>>,
    addresses: Option<Limit<Origin>>,
    passwords: Option<Limit<Origin>>,
    proxies: TrustedProxies,
}

impl RateLimits {
    /// Nobody has sent anything yet.
    pub fn new(config: &Config) -> Self {
        let RateLimitConfig { rate_limit_customer, rate_limit_operator, rate_limit_address, rate_limit_password } =
            config.rate_limits;
        Self {
            customers: Limit::new(CUSTOMER, rate_limit_customer),
            operators: Limit::new(OPERATOR, rate_limit_operator),
            addresses: Limit::new(ADDRESS, rate_limit_address),
            passwords: Limit::new(PASSWORD, rate_limit_password),
            proxies: config.trusted_proxies.clone(),
        }
    }

    /// Forgets who has not come for a while, until the end is requested.
    pub async fn forget_the_idle(self: Arc<Self>, shutdown: Shutdown) {
        loop {
            tokio::select! {
                () = sleep(FORGET_EVERY) => {}
                () = shutdown.requested() => return,
            }
            for limit in [&self.customers, &self.operators].into_iter().flatten() {
                limit.forget();
            }
            for limit in [&self.addresses, &self.passwords].into_iter().flatten() {
                limit.forget();
            }
        }
    }

    fn are_off(&self) -> bool {
        let Self { customers, operators, addresses, passwords, proxies: _ } = self;
        customers.is_none() && operators.is_none() && addresses.is_none() && passwords.is_none()
    }

    fn count_account(&self, claims: &Claims) -> Option<Standing> {
        let limit = if claims.roles.contains(&Role::Operator) { &self.operators } else { &self.customers };
        Some(limit.as_ref()?.count(&claims.account))
    }

    fn count_address(&self, limit: Option<&Limit<Origin>>, request: &Request) -> Option<Standing> {
        let peer = *request.extensions().get::<Peer>().expect("a request is served with its peer");
        Some(limit?.count(&self.proxies.client(peer, request.headers()).into()))
    }
}

/// Wraps every request.
pub async fn limit(State(gateway): State<Arc<Gateway>>, mut request: Request, next: Next) -> Response {
    let limits = &gateway.rate_limits;
    if limits.are_off() {
        return next.run(request).await;
    }
    let mut later = None;
    let standing = if hashes_a_password(&request) {
        limits.count_address(limits.passwords.as_ref().or(limits.addresses.as_ref()), &request)
    } else if let Some(claims) = caller::known(request.headers(), &gateway) {
        let standing = limits.count_account(&claims);
        request.extensions_mut().insert(Known(claims));
        standing
    } else {
        let standing = limits.count_address(limits.addresses.as_ref(), &request);
        if request.headers().contains_key(AUTHORIZATION) {
            let of_account = CountedLater::default();
            request.extensions_mut().insert(of_account.clone());
            later = Some(of_account);
        }
        standing
    };
    let mut response = match standing.as_ref().and_then(Standing::problem) {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    };
    let of_account = later.as_ref().and_then(|later| later.0.get());
    if let Some(standing) = of_account.or(standing.as_ref()) {
        standing.tell(response.headers_mut());
    }
    response
}

fn hashes_a_password(request: &Request) -> bool {
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    request.method() == Method::POST && path.is_some_and(|path| routes::HASHING.contains(&path))
}

/// In the extensions of a request that brings a token which nobody has seen yet: how its account stands once it was verified.
#[derive(Debug, Clone, Default)]
pub struct CountedLater(Arc<OnceLock<Standing>>);

impl CountedLater {
    /// Counts the request for the account that its token names.
    pub fn count(&self, claims: &Claims, gateway: &Gateway) -> Result<(), Problem> {
        let Some(standing) = gateway.rate_limits.count_account(claims) else { return Ok(()) };
        let problem = standing.problem();
        // a route asks once who calls; were it to ask again, what was told first would hold
        let _ = self.0.set(standing);
        problem.map_or(Ok(()), Err)
    }
}
