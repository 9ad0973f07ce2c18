//! The key that tokens are signed with, and the keys that the world is told of.

use std::path::Path;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use contracts::ids::AccountId;
use jiff::Timestamp;
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, encode,
    errors::{Error as JwtError, ErrorKind},
    jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash},
};
use pem::Pem;
use serde::Serialize;
use service_runtime::Error;

use crate::account::Role;

/// `iss` of every token.
pub const ISSUER: &str = "postbox-accounts";

/// `aud` of every token.
pub const AUDIENCE: &str = "postbox";

/// How long a token is valid.
pub const LIFE_SECONDS: u32 = 15 * 60;

/// The most keys of a file. A change of keys takes two, or three when it is begun again.
const KEYS_MAX: usize = 8;

/// The Ed25519 keys of one file. The first signs; the others are told with it, so that a key is known before it signs, and for
/// as long as tokens of it are about. Tokens name their key by its thumbprint (RFC 7638) in `kid`.
#[derive(Debug)]
pub struct SigningKey {
    private: EncodingKey,
    header: Header,
    jwks_json: String,
}

/// Why a file cannot be signed with.
#[derive(Debug, thiserror::Error)]
pub enum NotSigningKeys {
    /// A block is no base64.
    #[error("it is damaged: {0}")]
    Damaged(pem::PemError),
    /// The file has none, or its first is public or of another kind.
    #[error("it does not begin with an Ed25519 private key (PKCS#8, PEM)")]
    First,
    /// One of the others.
    #[error("its key {0} is no Ed25519 key, private or public (PKCS#8 or SPKI, PEM)")]
    Other(usize),
    /// A key stands in the file again, perhaps without its private half.
    #[error("its keys {0} and {1} are the same")]
    Same(usize, usize),
    /// More than anybody needs.
    #[error("it holds more than {} keys", KEYS_MAX)]
    TooMany,
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
    /// The keys in the file that `ACCOUNTS_SIGNING_KEY_FILE` names.
    pub fn from_file(path: &Path) -> Result<Self, Error> {
        let wrong = |why: &dyn std::fmt::Display| {
            let cure = "make a key with `openssl genpkey -algorithm ed25519`";
            Error::Config(format!("ACCOUNTS_SIGNING_KEY_FILE {}: {why}; {cure}", path.display()))
        };
        let pem = std::fs::read(path).map_err(|error| wrong(&error))?;
        Self::from_pem(&pem).map_err(|error| wrong(&error))
    }

    /// The keys in `pem`, one block each. The first is private: PKCS#8, with or without its public half. Of the others the public
    /// half is all that is looked at.
    pub fn from_pem(pem: &[u8]) -> Result<Self, NotSigningKeys> {
        let blocks = pem::parse_many(pem).map_err(NotSigningKeys::Damaged)?;
        // a block that is cut off is no block to the parser
        let begun = pem.windows(BEGIN.len()).filter(|window| *window == BEGIN).count();
        let first = blocks.first().ok_or(NotSigningKeys::First)?;
        if blocks.len() > KEYS_MAX {
            return Err(NotSigningKeys::TooMany);
        }
        let private = EncodingKey::from_ed_pem(pem::encode(first).as_bytes()).map_err(|_| NotSigningKeys::First)?;
        let mut keys: Vec<Jwk> = Vec::with_capacity(blocks.len());
        for (place, block) in (1..).zip(&blocks) {
            let wrong = |_| if place == 1 { NotSigningKeys::First } else { NotSigningKeys::Other(place) };
            let key = public_half(block).and_then(|public| jwk(&public)).map_err(wrong)?;
            if let Some(before) = keys.iter().position(|told| told.common.key_id == key.common.key_id) {
                return Err(NotSigningKeys::Same(before + 1, place));
            }
            keys.push(key);
        }
        if begun != keys.len() {
            return Err(NotSigningKeys::Other(keys.len() + 1));
        }
        let header = Header { kid: keys[0].common.key_id.clone(), ..Header::new(Algorithm::EdDSA) };
        let jwks_json = serde_json::to_string(&JwkSet { keys }).expect("texts are always JSON");
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

    /// The public halves, as the JSON document of RFC 7517.
    pub fn jwks_json(&self) -> &str {
        &self.jwks_json
    }
}

/// What each block of a PEM file begins with.
const BEGIN: &[u8] = b"-----BEGIN ";

fn public_half(block: &Pem) -> Result<DecodingKey, JwtError> {
    let pem = pem::encode(block);
    if block.tag() == "PUBLIC KEY" {
        return DecodingKey::from_ed_pem(pem.as_bytes());
    }
    let private = EncodingKey::from_ed_pem(pem.as_bytes())?;
    let pair = Ed25519KeyPair::from_pkcs8(private.as_bytes()).map_err(|_| ErrorKind::InvalidEddsaKey)?;
    Ok(DecodingKey::from_ed_der(pair.public_key().as_ref()))
}

fn jwk(public: &DecodingKey) -> Result<Jwk, JwtError> {
    let mut jwk = Jwk::from_decoding_key(public, Some(Algorithm::EdDSA))?;
    jwk.common.key_id = Some(jwk.thumbprint(ThumbprintHash::SHA256)?);
    jwk.common.public_key_use = Some(PublicKeyUse::Signature);
    Ok(jwk)
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

    /// The public half of the same key (RFC 8410, section 10.1), and that of another, and that other, private.
    const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
        -----END PUBLIC KEY-----\n";
    const OTHER_PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEAqy/t7BOHRS9HgwMWTLCiNx9IQObFbesKPbG66QafKaI=\n\
        -----END PUBLIC KEY-----\n";
    const OTHER: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEIFwebBEaBLre0ePoR9bER8fzwDCLTm+HnyN7yS0Da4DC\n\
        -----END PRIVATE KEY-----\n";

    #[test]
    fn the_first_key_signs_and_all_are_told() {
        let told = |pem: &str| {
            let key = SigningKey::from_pem(pem.as_bytes()).unwrap();
            let jwks: serde_json::Value = serde_json::from_str(key.jwks_json()).unwrap();
            let kids = jwks["keys"].as_array().unwrap().iter().map(|jwk| jwk["kid"].as_str().unwrap().to_owned());
            let kids: Vec<String> = kids.collect();
            assert_eq!(key.header.kid.as_ref(), Some(&kids[0]), "the first signs");
            assert!(!key.jwks_json().contains("\"d\""), "no private half is told");
            kids
        };
        let ([first], [other]) = (told(WITHOUT_PUBLIC).try_into().unwrap(), told(OTHER).try_into().unwrap());
        assert_ne!(first, other);
        for after in [OTHER, OTHER_PUBLIC] {
            assert_eq!(told(&format!("{WITHOUT_PUBLIC}{after}")), [first.clone(), other.clone()]);
        }
        for after in [WITHOUT_PUBLIC, WITH_PUBLIC, PUBLIC] {
            assert_eq!(told(&format!("the new one\n{OTHER}and the old one:\n{after}")), [other.clone(), first.clone()]);
        }
    }

    #[test]
    fn a_file_that_is_not_what_it_should_be_is_refused_with_the_key_that_is_wrong() {
        let rsa = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let cut = &OTHER[..OTHER.len() - 10];
        for (pem, why) in [
            (String::new(), "it does not begin with an Ed25519 private key"),
            (rsa.to_owned(), "it does not begin with an Ed25519 private key"),
            (format!("{PUBLIC}{OTHER}"), "it does not begin with an Ed25519 private key"),
            (format!("{OTHER}{rsa}"), "its key 2 is no Ed25519 key"),
            (format!("{WITHOUT_PUBLIC}{}", OTHER.replace("MC4C", "M?4C")), "it is damaged"),
            (format!("{WITHOUT_PUBLIC}{cut}"), "its key 2 is no Ed25519 key"),
            (format!("{WITHOUT_PUBLIC}{OTHER}{PUBLIC}"), "its keys 1 and 3 are the same"),
            (WITHOUT_PUBLIC.repeat(9), "it holds more than 8 keys"),
        ] {
            let error = SigningKey::from_pem(pem.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(why), "{error}, and not {why}: {pem}");
        }
        let error = SigningKey::from_file(Path::new("/nowhere/key.pem")).unwrap_err();
        assert!(matches!(&error, Error::Config(line) if line.contains("ACCOUNTS_SIGNING_KEY_FILE /nowhere/key.pem")));
    }
}
