//! Verifying tokens. Only accounts signs them, with EdDSA; nothing in a token says where its key is to be found.

use std::sync::LazyLock;

use contracts::ids::AccountId;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header, errors::ErrorKind};
use serde::Deserialize;

use crate::keys::{Keys, NoKey};

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

/// Verifies a token.
pub async fn verify(keys: &Keys, token: &str) -> Result<Claims, Refused> {
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
