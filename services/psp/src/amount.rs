//! Amounts of money, as they stand in requests, answers and books: `{"amount_minor": 1250, "currency": "EUR"}`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The largest amount of one charge, in minor units: what merchants can count in 64 bits with a sign. Whether a card
/// covers it is another matter; no sum is malformed for being large.
pub const AMOUNT_MINOR_MAX: u64 = i64::MAX.unsigned_abs();

/// Whole minor units of one currency: 0 to [`AMOUNT_MINOR_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Amount {
    minor: u64,
    currency: Currency,
}

/// Three upper-case letters, as in ISO 4217. Whether such a currency exists is not this network's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Currency([u8; 3]);

/// What is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAmount {
    /// More than [`AMOUNT_MINOR_MAX`].
    #[error("amount_minor must be at most {AMOUNT_MINOR_MAX}")]
    TooLarge,
    /// Not three upper-case letters.
    #[error("currency must be three upper-case letters, like EUR")]
    Currency,
}

/// An amount as it is written in JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    amount_minor: u64,
    currency: String,
}

impl Amount {
    /// The minor units: cents for EUR, yen for JPY.
    pub const fn minor(self) -> u64 {
        self.minor
    }

    /// The currency.
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// So many minor units of the same currency.
    #[must_use]
    pub const fn with_minor(self, minor: u64) -> Self {
        Self { minor, ..self }
    }
}

impl TryFrom<Written> for Amount {
    type Error = InvalidAmount;

    fn try_from(written: Written) -> Result<Self, InvalidAmount> {
        if written.amount_minor > AMOUNT_MINOR_MAX {
            return Err(InvalidAmount::TooLarge);
        }
        let currency = <[u8; 3]>::try_from(written.currency.as_bytes()).map_err(|_| InvalidAmount::Currency)?;
        if !currency.iter().all(u8::is_ascii_uppercase) {
            return Err(InvalidAmount::Currency);
        }
        Ok(Self { minor: written.amount_minor, currency: Currency(currency) })
    }
}

impl From<Amount> for Written {
    fn from(amount: Amount) -> Self {
        Self { amount_minor: amount.minor, currency: amount.currency.to_string() }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|&letter| write!(f, "{}", char::from(letter)))
    }
}
