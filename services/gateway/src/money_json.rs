//! Money, as clients see it.

use contracts::money::v1::Money;
use schemars::JsonSchema;
use serde::Serialize;

/// `{"amount_minor": 1250, "currency": "EUR"}`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Money")]
pub struct MoneyJson {
    /// In the smallest unit of the currency: cents of EUR.
    amount_minor: i64,
    /// ISO 4217.
    currency: String,
}

impl From<Money> for MoneyJson {
    fn from(money: Money) -> Self {
        Self { amount_minor: money.amount_minor, currency: money.currency }
    }
}
