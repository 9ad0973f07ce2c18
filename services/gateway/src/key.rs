//! A public key that tokens are verified with, and with which algorithms. The key decides that: of what it allows a token's header
//! may name one, and nothing else.

use jsonwebtoken::{
    Algorithm, DecodingKey, DecodingKeyKind,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse},
};
use serde_json::Value;

/// How long the modulus of an RSA key is, in bits: shorter can be broken, longer costs more than a token is worth.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// A key of a JWK set (RFC 7517).
#[derive(Debug, Clone)]
pub struct Key {
    /// What signatures are compared with.
    pub public: DecodingKey,
    /// The algorithms that it may be used with, of one family.
    pub algorithms: Vec<Algorithm>,
}

/// Why a key of a set is passed over. Sets may hold keys of any kind and for any use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PassedOver {
    /// It is no JWK, or parts of it are missing.
    #[error("it cannot be read")]
    Unreadable,
    /// Tokens name their key, so one without a name is never looked for.
    #[error("it has no kid")]
    Nameless,
    /// It is for encryption, or for something else.
    #[error("it is not for signatures")]
    OtherUse,
    /// A symmetric key, another curve, or a kind that nobody here knows.
    #[error("it is neither Ed25519, nor P-256, nor RSA")]
    OtherKind,
    /// For an algorithm that its kind does not go with, or that is not taken.
    #[error("its alg is none that is taken")]
    OtherAlgorithm,
    /// An RSA key that is too short or too long, or a point that has another length than its curve's.
    #[error("it has a wrong length")]
    Length,
}

impl Key {
    /// The name and the key of one member of a set.
    pub fn read(jwk: Value) -> Result<(String, Self), PassedOver> {
        let jwk: Jwk = serde_json::from_value(jwk).map_err(|_| PassedOver::Unreadable)?;
        let name = jwk.common.key_id.clone().ok_or(PassedOver::Nameless)?;
        let verifies = |operations: &Vec<KeyOperations>| operations.contains(&KeyOperations::Verify);
        let is_for_signatures =
            jwk.common.public_key_use.as_ref().is_none_or(|its_use| *its_use == PublicKeyUse::Signature)
                && jwk.common.key_operations.as_ref().is_none_or(verifies);
        if !is_for_signatures {
            return Err(PassedOver::OtherUse);
        }
        let of_its_kind: &[Algorithm] = match &jwk.algorithm {
            AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => &[Algorithm::EdDSA],
            AlgorithmParameters::EllipticCurve(point) if point.curve == EllipticCurve::P256 => &[Algorithm::ES256],
            AlgorithmParameters::RSA(_) => &[Algorithm::RS256, Algorithm::PS256],
            _ => return Err(PassedOver::OtherKind),
        };
        let its_own = jwk.common.key_algorithm;
        let is_allowed =
            |&algorithm: &Algorithm| its_own.is_none_or(|its_own| its_own == KeyAlgorithm::from(algorithm));
        let algorithms: Vec<Algorithm> = of_its_kind.iter().copied().filter(is_allowed).collect();
        if algorithms.is_empty() {
            return Err(PassedOver::OtherAlgorithm);
        }
        let public = DecodingKey::from_jwk(&jwk).map_err(|_| PassedOver::Unreadable)?;
        if has_right_length(&public, algorithms[0]) {
            Ok((name, Self { public, algorithms }))
        } else {
            Err(PassedOver::Length)
        }
    }

    /// Whether it is of the only kind that accounts signs with.
    pub fn is_ed25519(&self) -> bool {
        self.algorithms == [Algorithm::EdDSA]
    }
}

fn has_right_length(public: &DecodingKey, algorithm: Algorithm) -> bool {
    match public.kind() {
        DecodingKeyKind::RsaModulusExponent { n, .. } => RSA_BITS.contains(&bits(n)),
        // a P-256 point is a byte that says so and two coordinates
        DecodingKeyKind::SecretOrDer(bytes) => bytes.len() == if algorithm == Algorithm::ES256 { 65 } else { 32 },
    }
}

/// How many bits a number has, most significant byte first.
fn bits(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let number = &number[zeros..];
    number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use serde_json::json;

    use super::*;

    fn rsa(modulus: &[u8]) -> Value {
        json!({"kty": "RSA", "kid": "a", "n": URL_SAFE_NO_PAD.encode(modulus), "e": "AQAB"})
    }

    fn ed25519() -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": URL_SAFE_NO_PAD.encode([7; 32])})
    }

    fn p256() -> Value {
        let coordinate = URL_SAFE_NO_PAD.encode([7; 32]);
        json!({"kty": "EC", "crv": "P-256", "kid": "a", "x": coordinate, "y": coordinate})
    }

    fn with(mut jwk: Value, name: &str, value: Value) -> Value {
        jwk[name] = value;
        jwk
    }

    #[test]
    fn a_key_is_taken_with_the_algorithms_of_its_kind() {
        use Algorithm::{ES256, EdDSA, PS256, RS256};
        let rsa = || rsa(&[0x80; 256]);
        for (jwk, algorithms) in [
            (ed25519(), vec![EdDSA]),
            (p256(), vec![ES256]),
            (rsa(), vec![RS256, PS256]),
            (with(rsa(), "alg", json!("RS256")), vec![RS256]),
            (with(rsa(), "alg", json!("PS256")), vec![PS256]),
            (with(p256(), "use", json!("sig")), vec![ES256]),
            (with(p256(), "key_ops", json!(["verify"])), vec![ES256]),
            (with(p256(), "x5c", json!(["MIIB"])), vec![ES256]),
        ] {
            let (name, key) = Key::read(jwk.clone()).unwrap_or_else(|why| panic!("{jwk}: {why}"));
            assert_eq!((name.as_str(), key.algorithms), ("a", algorithms), "{jwk}");
        }
    }

    #[test]
    fn what_is_no_key_for_tokens_is_passed_over() {
        use PassedOver::{Length, Nameless, OtherAlgorithm, OtherKind, OtherUse, Unreadable};
        for (jwk, why) in [
            (json!("a key"), Unreadable),
            (with(ed25519(), "x", json!("no base64!")), Unreadable),
            (with(ed25519(), "use", json!(5)), Unreadable),
            (with(ed25519(), "kid", Value::Null), Nameless),
            (with(ed25519(), "use", json!("enc")), OtherUse),
            (with(ed25519(), "key_ops", json!(["sign"])), OtherUse),
            (json!({"kty": "oct", "kid": "a", "k": "c2VjcmV0"}), OtherKind),
            (json!({"kty": "AKP", "kid": "a", "pub": "c2VjcmV0"}), OtherKind),
            (with(ed25519(), "crv", json!("Ed448")), OtherKind),
            (with(p256(), "crv", json!("P-384")), OtherKind),
            (with(p256(), "crv", json!("secp256k1")), OtherKind),
            (with(ed25519(), "alg", json!("HS256")), OtherAlgorithm),
            (with(ed25519(), "alg", json!("RS256")), OtherAlgorithm),
            (with(p256(), "alg", json!("ES384")), OtherAlgorithm),
            (with(rsa(&[0x80; 256]), "alg", json!("RSA-OAEP")), OtherAlgorithm),
            (with(rsa(&[0x80; 256]), "alg", json!("RS512")), OtherAlgorithm),
            (rsa(&[0x80; 128]), Length),
            (rsa(&[[0; 128], [0x80; 128]].concat()), Length),
            (rsa(&[0x7f; 256]), Length),
            (rsa(&[0x80; 1025]), Length),
            (rsa(&[]), Length),
            (with(ed25519(), "x", json!(URL_SAFE_NO_PAD.encode([7; 33]))), Length),
            (with(p256(), "y", json!(URL_SAFE_NO_PAD.encode([7; 31]))), Length),
        ] {
            assert_eq!(Key::read(jwk.clone()).map(|(name, _)| name), Err(why), "{jwk}");
        }
    }
}
