//! The key that tokens are signed with, and what the world may know of it.

use std::path::Path;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use contracts::ids::AccountId;
use jiff::Timestamp;
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, encode,
    errors::ErrorKind,
    jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash},
};
use serde::Serialize;
use service_runtime::Error;

use crate::account::Role;

/// `iss` of every token.
pub const ISSUER: &str = "postbox-accounts";

/// `aud` of every token.
pub const AUDIENCE: &str = "postbox";

/// How long a token is valid.
pub const LIFE_SECONDS: u32 = 15 * 60;

/// An Ed25519 key. Tokens name it by its thumbprint (RFC 7638) in `kid`.
#[derive(Debug)]
pub struct SigningKey {
    private: EncodingKey,
    header: Header,
    jwks_json: String,
}

/// What a token says (RFC 7519). Times are seconds since 1970.
#[derive(Debug, Serialize)]
struct Claims {
    iss: &'static str,
    aud: &'static str,
    sub: AccountId,
    roles: [&'static str; 1],
    iat: i64,
    nbf: i64,
    exp: i64,
}

impl SigningKey {
    /// The key in the file that `ACCOUNTS_SIGNING_KEY_FILE` names.
    pub fn from_file(path: &Path) -> Result<Self, Error> {
        let wrong = |why: &dyn std::fmt::Display| {
            let cure = "make one with `openssl genpkey -algorithm ed25519`";
            Error::Config(format!("ACCOUNTS_SIGNING_KEY_FILE {}: {why}; {cure}", path.display()))
        };
        let pem = std::fs::read(path).map_err(|error| wrong(&error))?;
        Self::from_pem(&pem).map_err(|_| wrong(&"it holds no Ed25519 private key (PKCS#8, PEM)"))
    }

    /// The key in `pem`: PKCS#8, with or without its public half.
    pub fn from_pem(pem: &[u8]) -> Result<Self, jsonwebtoken::errors::Error> {
        let private = EncodingKey::from_ed_pem(pem)?;
        let pair = Ed25519KeyPair::from_pkcs8(private.as_bytes()).map_err(|_| ErrorKind::InvalidEddsaKey)?;
        let public = DecodingKey::from_ed_der(pair.public_key().as_ref());
        let mut jwk = Jwk::from_decoding_key(&public, Some(Algorithm::EdDSA))?;
        let kid = jwk.thumbprint(ThumbprintHash::SHA256)?;
        jwk.common.key_id = Some(kid.clone());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        let jwks_json = serde_json::to_string(&JwkSet { keys: vec![jwk] })?;
        let header = Header { kid: Some(kid), ..Header::new(Algorithm::EdDSA) };
        Ok(Self { private, header, jwks_json })
    }

    /// A token for this account, valid from now for [`LIFE_SECONDS`].
    pub fn token(&self, account: AccountId, role: Role, now: Timestamp) -> String {
        let now = now.as_second();
        let claims = Claims {
            iss: ISSUER,
            aud: AUDIENCE,
            sub: account,
            roles: [role.word()],
            iat: now,
            nbf: now,
            exp: now + i64::from(LIFE_SECONDS),
        };
        encode(&self.header, &claims, &self.private).expect("an Ed25519 key that was parsed signs any bytes")
    }

    /// The public half, as the JSON document of RFC 7517.
    pub fn jwks_json(&self) -> &str {
        &self.jwks_json
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The private key of RFC 8410, section 10.3, without and with its public half.
    const WITHOUT_PUBLIC: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
        -----END PRIVATE KEY-----\n";
    const WITH_PUBLIC: &str = "-----BEGIN PRIVATE KEY-----\n\
        MHICAQEwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
        oB8wHQYKKoZIhvcNAQkJFDEPDA1DdXJkbGUgQ2hhaXJzgSEAGb9ECWmEzf6FQbrB\n\
        Z9w7lshQhqowtrbLDFw4rXAxZuE=\n\
        -----END PRIVATE KEY-----\n";

    #[test]
    fn a_key_in_either_form_tells_its_public_half_and_nothing_else() {
        for pem in [WITHOUT_PUBLIC, WITH_PUBLIC] {
            let key = SigningKey::from_pem(pem.as_bytes()).unwrap();
            let jwks: serde_json::Value = serde_json::from_str(key.jwks_json()).unwrap();
            let jwk = &jwks["keys"][0];
            // the public key that RFC 8410 prints for it
            assert_eq!(jwk["x"], "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE");
            assert_eq!(jwk["kty"], "OKP");
            assert_eq!(jwk["crv"], "Ed25519");
            assert_eq!(jwk["alg"], "EdDSA");
            assert_eq!(jwk["use"], "sig");
            assert_eq!(jwk["kid"], *key.header.kid.as_ref().unwrap());
            assert!(jwk.get("d").is_none());
        }
    }

    #[test]
    fn what_is_no_ed25519_key_is_refused_with_the_name_of_the_variable() {
        assert!(SigningKey::from_pem(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").is_err());
        let error = SigningKey::from_file(Path::new("/nowhere/key.pem")).unwrap_err();
        assert!(matches!(&error, Error::Config(line) if line.contains("ACCOUNTS_SIGNING_KEY_FILE /nowhere/key.pem")));
    }
}
