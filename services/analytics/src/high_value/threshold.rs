//! From which total on an order is of high value.

use std::{collections::BTreeMap, str::FromStr};

use contracts::money::Money;

/// From which total on an order is of high value, in minor units. As text one number for all currencies, and after it others
/// for some: `50000,JPY=75000`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Threshold {
    usual: i64,
    /// By the ISO 4217 code.
    special: BTreeMap<&'static str, i64>,
}

/// Text that is no threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a threshold is a number of minor units, and then other numbers for some currencies, like 50000,JPY=75000")]
pub struct InvalidThreshold;

impl Threshold {
    /// Whether an order with this total is of high value.
    pub fn is_met_by(&self, total: Money) -> bool {
        let from = self.special.get(total.currency_code()).unwrap_or(&self.usual);
        total.minor_units() >= *from
    }
}

impl FromStr for Threshold {
    type Err = InvalidThreshold;

    fn from_str(text: &str) -> Result<Self, InvalidThreshold> {
        let mut parts = text.split(',').map(str::trim);
        let usual = minor_units(parts.next().unwrap_or_default())?;
        let mut special = BTreeMap::new();
        for part in parts {
            let (code, number) = part.split_once('=').ok_or(InvalidThreshold)?;
            let from = Money::from_code(minor_units(number)?, code).map_err(|_| InvalidThreshold)?;
            let is_second = special.insert(from.currency_code(), from.minor_units()).is_some();
            if is_second {
                return Err(InvalidThreshold);
            }
        }
        Ok(Self { usual, special })
    }
}

/// Digits only: a sign would be a mistake.
fn minor_units(text: &str) -> Result<i64, InvalidThreshold> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number).ok_or(InvalidThreshold)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_high(threshold: &str, minor_units: i64, currency: &str) -> bool {
        let threshold: Threshold = threshold.parse().expect("a threshold");
        threshold.is_met_by(Money::from_code(minor_units, currency).expect("an amount"))
    }

    #[test]
    fn an_order_of_exactly_the_threshold_is_of_high_value() {
        assert!(is_high("50000", 50_000, "EUR"));
        assert!(!is_high("50000", 49_999, "EUR"));
    }

    #[test]
    fn a_currency_that_is_named_has_its_own_threshold() {
        assert!(is_high("50000, JPY=75000", 75_000, "JPY"));
        assert!(!is_high("50000, JPY=75000", 74_999, "JPY"));
        assert!(is_high("50000, JPY=75000", 50_000, "USD"));
    }

    #[test]
    fn what_is_no_threshold_is_refused() {
        for text in
            ["", "-1", "+1", "1.5", "JPY=1", "1,JPY", "1,JPY=", "1,XX=1", "1,JPY=1,JPY=2", "1,", "9223372036854775808"]
        {
            assert_eq!(text.parse::<Threshold>(), Err(InvalidThreshold), "{text:?}");
        }
    }
}
