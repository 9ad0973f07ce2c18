//! Verifying tokens. Nothing in a token says where its key is to be found, nor with which algorithm it is verified: its name leads
//! to a key of the issuer, and that key allows algorithms, of which the token's must be one.

use std::sync::Arc;

use jsonwebtoken::{Header, decode, decode_header, errors::ErrorKind};
use moka::sync::Cache;
use serde_json::{Map, Value};
use tracing::debug;

use crate::{
    issuer::{Claims, Issuer},
    keys::{KeySet, Keys, NoKey},
};

/// The longest token, in bytes. One of accounts has some 400; those of others name groups and permissions.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// How much of tokens is known at a time, in their bytes: ten thousand of accounts, and of those that are used most.
const TOKENS_KNOWN_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Why a token proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It was valid.
    #[error("the token has expired; get another, as you got this one")]
    Expired,
    /// It has more than [`TOKEN_BYTES_MAX`] bytes.
    #[error("the token has more than {} bytes", TOKEN_BYTES_MAX)]
    TooLong,
    /// Anything else. Which rule it breaks helps nobody but who forges one; the log tells it at the level debug.
    #[error("the token is not valid")]
    Invalid,
    /// Nobody can tell: the issuer has not told its keys yet.
    #[error("tokens cannot be verified yet; trying again is safe")]
    NoKeys,
}

/// Tokens, verified. A signature costs more to verify than all else that the gateway does for a request, and a customer's token
/// is the same for all his requests: so what was verified is known for as long as it is valid and its key is one of the issuer's.
#[derive(Debug)]
pub struct Tokens {
    issuer: Arc<Issuer>,
    keys: Arc<Keys>,
    known: Cache<String, Known>,
}

/// A token that was verified.
#[derive(Debug, Clone)]
struct Known {
    claims: Arc<Claims>,
    /// By which keys. When the issuer tells others, all are verified anew.
    keys: Arc<KeySet>,
}

impl Tokens {
    /// Verifies tokens of this issuer with its keys.
    pub fn new(issuer: Arc<Issuer>, keys: Arc<Keys>) -> Self {
        let known = Cache::builder()
            .max_capacity(TOKENS_KNOWN_BYTES_MAX)
            .weigher(|token: &String, _: &Known| u32::try_from(token.len()).unwrap_or(u32::MAX));
        Self { issuer, keys, known: known.build() }
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
        let claims = Arc::new(self.verify_anew(token).await?);
        // keys that came meanwhile may be without the one that it was verified with
        if let Some(keys) = self.keys.copy().filter(are_those) {
            self.known.insert(token.to_owned(), Known { claims: claims.clone(), keys });
        }
        Ok(claims)
    }

    async fn verify_anew(&self, token: &str) -> Result<Claims, Refused> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Refused::TooLong);
        }
        let header = decode_header(token).map_err(|error| invalid(&error))?;
        if !is_understood(&header) {
            return Err(invalid(&"its header asks for what is not understood"));
        }
        // jku, jwk, x5u and x5c are for whoever believes a token about itself
        let name = header.kid.ok_or_else(|| invalid(&"its header has no kid"))?;
        let key = self.keys.find(&name).await.map_err(|error| match error {
            NoKey::Unknown => invalid(&error),
            NoKey::NotFetched => Refused::NoKeys,
        })?;
        let told = decode::<Map<String, Value>>(token, &key.public, &self.issuer.validation(&key.algorithms));
        let told = told.map_err(|error| match error.kind() {
            ErrorKind::ExpiredSignature => Refused::Expired,
            _ => invalid(&error),
        })?;
        self.issuer.claims(&told.claims).map_err(|error| invalid(&error))
    }
}

/// `crit` names extensions that must be understood (RFC 7515): we understand none. `typ` tells tokens for other uses apart, like the
/// one that says that somebody has signed out (RFC 8725, section 3.11).
fn is_understood(header: &Header) -> bool {
    let kind = header.typ.as_deref().map(|typ| typ.strip_prefix("application/").unwrap_or(typ));
    let is_ours = |kind: &str| ["jwt", "at+jwt"].iter().any(|ours| ours.eq_ignore_ascii_case(kind));
    header.crit.is_none() && kind.is_none_or(is_ours)
}

fn invalid(why: &dyn std::fmt::Display) -> Refused {
    debug!(%why, "a token is refused");
    Refused::Invalid
}

#[cfg(test)]
mod fuzz;
