//! Secrets that a platform makes for itself.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// How a secret is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Secret {
    /// An Ed25519 private key, PKCS #8 in PEM.
    #[serde(rename = "ed25519-pem")]
    Ed25519Pem,
}

impl Secret {
    /// A new secret of this kind, as the text of its file.
    pub fn make(self) -> String {
        match self {
            Self::Ed25519Pem => ed25519_pem(rand::random()),
        }
    }
}

/// An Ed25519 private key as a PEM file: the seed, behind the fixed beginning that PKCS #8 gives every such key (RFC 8410,
/// section 7).
fn ed25519_pem(seed: [u8; 32]) -> String {
    const PREFIX: [u8; 16] =
        [0x30, 0x2e, 0x02, 0x01, 0, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    let der = [PREFIX.as_slice(), &seed].concat();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_key_of_rfc_8410_is_written_as_it_stands_there() {
        let seed = [
            0xd4, 0xee, 0x72, 0xdb, 0xf9, 0x13, 0x58, 0x4a, 0xd5, 0xb6, 0xd8, 0xf1, 0xf7, 0x69, 0xf8, 0xad, 0x3a, 0xfe,
            0x7c, 0x28, 0xcb, 0xf1, 0xd4, 0xfb, 0xe0, 0x97, 0xa8, 0x8f, 0x44, 0x75, 0x58, 0x42,
        ];
        let expected = "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC";
        assert_eq!(ed25519_pem(seed).lines().nth(1), Some(expected));
    }
}
