//! Identities and counts that cross a boundary. A value of these types is always a right one.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Text that is not the identity it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// Not a UUID in its hyphenated form.
    #[error("{what} must be a UUID, like 01936b1e-7c5a-7cc2-a3f1-0242ac120002")]
    NotAUuid {
        /// The kind of identity that was expected.
        what: &'static str,
    },
    /// Not a SKU.
    #[error("a SKU is 1 to 64 of a-z, 0-9 and '-', and does not begin with '-'")]
    Sku,
    /// Not a quantity.
    #[error("a quantity is a whole number from 1 to {}", Quantity::MAX)]
    Quantity,
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new identity: a UUIDv7, so that ids made later sort later.
            #[expect(clippy::new_without_default, reason = "each call makes another value; a default would hide that")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// The UUID itself, for SQL.
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            /// Takes the hyphenated form only: the same order must not have several names.
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                if text.len() != uuid::fmt::Hyphenated::LENGTH {
                    return Err(InvalidId::NotAUuid { what: $what });
                }
                Uuid::try_parse(text).map(Self).map_err(|_| InvalidId::NotAUuid { what: $what })
            }
        }
    };
}

uuid_id!(
    /// One order. Its payment, its reservation and its shipment go by the same identity.
    OrderId,
    "an order id"
);
uuid_id!(
    /// One account: a customer or an operator.
    AccountId,
    "an account id"
);
uuid_id!(
    /// One shipment.
    ShipmentId,
    "a shipment id"
);

/// What a product is ordered by: 1 to 64 of `a-z`, `0-9` and `-`, not beginning with `-`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Sku(String);

impl Sku {
    /// The longest SKU, in characters.
    pub const LENGTH_MAX: usize = 64;

    /// The SKU as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Sku {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let right = (1..=Self::LENGTH_MAX).contains(&text.len()) && !text.starts_with('-') && text.bytes().all(allowed);
        if right { Ok(Self(text)) } else { Err(InvalidId::Sku) }
    }
}

impl FromStr for Sku {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Self::try_from(text.to_owned())
    }
}

impl fmt::Display for Sku {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many pieces of one SKU an order asks for: 1 to 10,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Quantity(u32);

impl Quantity {
    /// The most pieces of one SKU in one order.
    pub const MAX: u32 = 10_000;

    /// The number itself.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for Quantity {
    type Error = InvalidId;

    fn try_from(pieces: u32) -> Result<Self, InvalidId> {
        if (1..=Self::MAX).contains(&pieces) { Ok(Self(pieces)) } else { Err(InvalidId::Quantity) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sku_is_lower_case_letters_digits_and_inner_hyphens() {
        for right in ["mug", "0", "last-one", "a-", &"x".repeat(64)] {
            assert!(right.parse::<Sku>().is_ok(), "{right}");
        }
        for wrong in ["", "-a", "Mug", "a b", "a_b", "ä", "a\0", &"x".repeat(65)] {
            assert_eq!(wrong.parse::<Sku>(), Err(InvalidId::Sku), "{wrong}");
        }
    }

    #[test]
    fn a_quantity_is_from_1_to_10_000() {
        assert_eq!(Quantity::try_from(1).map(Quantity::get), Ok(1));
        assert_eq!(Quantity::try_from(10_000).map(Quantity::get), Ok(10_000));
        assert!(Quantity::try_from(0).is_err());
        assert!(Quantity::try_from(10_001).is_err());
    }

    #[test]
    fn an_id_has_one_spelling() {
        let id = OrderId::new();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(id.as_uuid().simple().to_string().parse::<OrderId>().is_err());
        assert!("not-an-id".parse::<OrderId>().is_err());
    }

    #[test]
    fn ids_made_later_sort_later() {
        let ids: Vec<OrderId> = (0..1_000).map(|_| OrderId::new()).collect();
        assert!(ids.is_sorted());
    }
}
