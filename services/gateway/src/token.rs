//! Verifying tokens. Only accounts signs them, with EdDSA; nothing in a token says where its key is to be found.

use std::sync::{Arc, LazyLock};

use contracts::ids::AccountId;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header, errors::ErrorKind};
use moka::sync::Cache;
use serde::Deserialize;

use crate::keys::{KeySet, Keys, NoKey};

/// The most tokens that are known at a time: those that are used most.
const TOKENS_KNOWN_MAX: u64 = 10_000;

/// How far the clocks of accounts and the gateway may differ, in seconds.
const LEEWAY_SECONDS: u64 = 5;

static VALIDATION: LazyLock<Validation> = LazyLock::new(|| {
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
    validation.set_issuer(&["postbox-accounts"]);
    validation.set_audience(&["postbox"]);
    validation.validate_nbf = true;
    validation.leeway = LEEWAY_SECONDS;
    validation
});

/// What a valid token says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Claims {
    /// Whose token it is.
    pub sub: AccountId,
    /// What the account may do.
    pub roles: Vec<String>,
    /// Until when, in seconds since 1970.
    exp: u64,
}

/// Why a token proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It was valid.
    #[error("the token has expired; get another with POST /v1/tokens")]
    Expired,
    /// Anything else. Which rule it breaks helps nobody but who forges one.
    #[error("the token is not valid")]
    Invalid,
    /// Nobody can tell: accounts has not told its keys yet.
    #[error("tokens cannot be verified yet; trying again is safe")]
    NoKeys,
}

/// Tokens, verified. A signature costs more to verify than all else that the gateway does for a request, and a customer's token
/// is the same for all his requests: so what was verified is known for as long as it is valid and its key is one of accounts.
#[derive(Debug)]
pub struct Tokens {
    keys: Arc<Keys>,
    known: Cache<String, Known>,
}

/// A token that was verified.
#[derive(Debug, Clone)]
struct Known {
    claims: Arc<Claims>,
    /// By which keys. When accounts tells its keys again, which it does every few minutes, all are verified anew.
    keys: Arc<KeySet>,
}

impl Tokens {
    /// Verifies with these keys.
    pub fn new(keys: Arc<Keys>) -> Self {
        Self { keys, known: Cache::new(TOKENS_KNOWN_MAX) }
    }

    /// What a token says, when it was verified before and still is valid. Takes nothing that is worth counting.
    pub fn known(&self, token: &str) -> Option<Arc<Claims>> {
        let keys = self.keys.copy()?;
        let known = self.known.get(token).filter(|known| Arc::ptr_eq(&known.keys, &keys))?;
        Some(known.claims).filter(|claims| !claims.has_expired())
    }

    /// Verifies a token.
    pub async fn verify(&self, token: &str) -> Result<Arc<Claims>, Refused> {
        let keys = self.keys.copy();
        let are_those = |one: &Arc<KeySet>| keys.as_ref().is_some_and(|keys| Arc::ptr_eq(keys, one));
        if let Some(known) = self.known.get(token).filter(|known| are_those(&known.keys)) {
            return if known.claims.has_expired() { Err(Refused::Expired) } else { Ok(known.claims) };
        }
        let claims = Arc::new(verify(&self.keys, token).await?);
        // keys that came meanwhile may be without the one that it was verified with
        if let Some(keys) = self.keys.copy().filter(are_those) {
            self.known.insert(token.to_owned(), Known { claims: claims.clone(), keys });
        }
        Ok(claims)
    }
}

impl Claims {
    fn has_expired(&self) -> bool {
        jsonwebtoken::get_current_timestamp() > self.exp.saturating_add(LEEWAY_SECONDS)
    }
}

async fn verify(keys: &Keys, token: &str) -> Result<Claims, Refused> {
    let header = decode_header(token).map_err(|_| Refused::Invalid)?;
    // `crit` names extensions that must be understood (RFC 7515): we understand none
    let name = header.kid.filter(|_| header.alg == Algorithm::EdDSA && header.crit.is_none());
    let key = keys.find(&name.ok_or(Refused::Invalid)?).await.map_err(|error| match error {
        NoKey::Unknown => Refused::Invalid,
        NoKey::NotFetched => Refused::NoKeys,
    })?;
    decode(token, &key, &VALIDATION).map(|token| token.claims).map_err(|error| match error.kind() {
        ErrorKind::ExpiredSignature => Refused::Expired,
        _ => Refused::Invalid,
    })
}

#[cfg(test)]
mod fuzz;
