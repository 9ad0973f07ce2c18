//! Money, as clients see it.

use contracts::money::v1::Money;
use serde::Serialize;

/// `{"amount_minor": 1250, "currency": "EUR"}`.
#[derive(Debug, Serialize)]
pub struct MoneyJson {
    amount_minor: i64,
    currency: String,
}

impl From<Money> for MoneyJson {
    fn from(money: Money) -> Self {
        Self { amount_minor: money.amount_minor, currency: money.currency }
    }
}
