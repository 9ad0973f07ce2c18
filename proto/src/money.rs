//! Money: whole minor units of one currency. Never a float.

use std::fmt;

use crate::generated;
pub use crate::generated::money::v1;
pub use iso_currency::Currency;

/// An amount that is not negative, in minor units of its currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Money {
    minor_units: i64,
    currency: Currency,
}

/// Why something is not an amount of money.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMoney {
    /// Below zero.
    #[error("an amount must not be negative")]
    Negative,
    /// More than fits into 64 bits of minor units.
    #[error("the amount is too large")]
    TooLarge,
    /// Not an ISO 4217 code.
    #[error("a currency is an ISO 4217 code of three upper-case letters, like EUR")]
    Currency,
    /// Two currencies where one was expected.
    #[error("the amounts are in two currencies")]
    MixedCurrencies,
    /// The field was not there.
    #[error("the amount is missing")]
    Missing,
}

impl Money {
    /// An amount of `minor_units`.
    pub fn new(minor_units: i64, currency: Currency) -> Result<Self, InvalidMoney> {
        if minor_units < 0 {
            return Err(InvalidMoney::Negative);
        }
        Ok(Self { minor_units, currency })
    }

    /// An amount in the currency with this ISO 4217 code.
    pub fn from_code(minor_units: i64, currency: &str) -> Result<Self, InvalidMoney> {
        let currency = Currency::from_code(currency).ok_or(InvalidMoney::Currency)?;
        Self::new(minor_units, currency)
    }

    /// The amount in minor units: cents for EUR, yen for JPY.
    pub const fn minor_units(self) -> i64 {
        self.minor_units
    }

    /// The ISO 4217 code of the currency.
    pub fn currency_code(self) -> &'static str {
        self.currency.code()
    }

    /// The sum of two amounts of one currency.
    pub fn plus(self, other: Self) -> Result<Self, InvalidMoney> {
        if self.currency != other.currency {
            return Err(InvalidMoney::MixedCurrencies);
        }
        let minor_units = self.minor_units.checked_add(other.minor_units).ok_or(InvalidMoney::TooLarge)?;
        Ok(Self { minor_units, ..self })
    }

    /// This amount `count` times.
    pub fn times(self, count: u32) -> Result<Self, InvalidMoney> {
        let minor_units = self.minor_units.checked_mul(i64::from(count)).ok_or(InvalidMoney::TooLarge)?;
        Ok(Self { minor_units, ..self })
    }
}

impl fmt::Display for Money {
    /// `12.50 EUR`, with as many decimals as the currency has.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = self.currency.exponent().unwrap_or(0);
        let unit = 10_i64.pow(u32::from(decimals));
        if decimals == 0 {
            write!(f, "{} {}", self.minor_units, self.currency.code())
        } else {
            let width = usize::from(decimals);
            write!(f, "{}.{:0width$} {}", self.minor_units / unit, self.minor_units % unit, self.currency.code())
        }
    }
}

impl From<Money> for generated::money::v1::Money {
    fn from(money: Money) -> Self {
        Self { amount_minor: money.minor_units, currency: money.currency_code().to_owned() }
    }
}

impl TryFrom<generated::money::v1::Money> for Money {
    type Error = InvalidMoney;

    fn try_from(proto: generated::money::v1::Money) -> Result<Self, InvalidMoney> {
        Self::from_code(proto.amount_minor, &proto.currency)
    }
}

impl TryFrom<Option<generated::money::v1::Money>> for Money {
    type Error = InvalidMoney;

    fn try_from(proto: Option<generated::money::v1::Money>) -> Result<Self, InvalidMoney> {
        proto.ok_or(InvalidMoney::Missing)?.try_into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eur(minor_units: i64) -> Money {
        Money::new(minor_units, Currency::EUR).unwrap()
    }

    #[test]
    fn amounts_add_only_within_one_currency() {
        assert_eq!(eur(1).plus(eur(2)), Ok(eur(3)));
        assert_eq!(eur(1).plus(Money::new(2, Currency::USD).unwrap()), Err(InvalidMoney::MixedCurrencies));
    }

    #[test]
    fn an_amount_never_overflows_silently() {
        assert_eq!(eur(i64::MAX).plus(eur(1)), Err(InvalidMoney::TooLarge));
        assert_eq!(eur(i64::MAX).times(2), Err(InvalidMoney::TooLarge));
    }

    #[test]
    fn negative_amounts_and_unknown_currencies_are_refused() {
        assert_eq!(Money::from_code(-1, "EUR"), Err(InvalidMoney::Negative));
        assert_eq!(Money::from_code(1, "eur"), Err(InvalidMoney::Currency));
        assert_eq!(Money::from_code(1, "XX"), Err(InvalidMoney::Currency));
    }

    #[test]
    fn an_amount_is_printed_with_the_decimals_of_its_currency() {
        assert_eq!(eur(1250).to_string(), "12.50 EUR");
        assert_eq!(eur(5).to_string(), "0.05 EUR");
        assert_eq!(Money::from_code(500, "JPY").unwrap().to_string(), "500 JPY");
    }
}
