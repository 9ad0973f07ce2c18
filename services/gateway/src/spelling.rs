//! Spellings: texts of which not every one is right. What checks them is what the interface is described with.

use std::{str::FromStr, sync::OnceLock};

use contracts::ids::{AccountId, OrderId, Sku};
use regex::Regex;
use serde_json::{Value, json};

/// How a text has to be spelled.
#[derive(Debug)]
pub struct Spelling {
    /// A regular expression of the whole text, which Rust, ECMA-262 and JSON schema read alike: no classes by name.
    pub pattern: &'static str,
    /// What the text must be, following the name of its field: `must look like name@example.com`.
    pub must: &'static str,
    compiled: OnceLock<Regex>,
}

/// An email as accounts wants it: something on both sides of the last `@`, and no white space.
pub static EMAIL: Spelling = Spelling::new(
    r"^[^\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+@[^\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000@]+$",
    "must look like name@example.com",
);

/// A country.
pub static COUNTRY: Spelling = Spelling::new("^[A-Z]{2}$", "must be two upper-case letters, as in ISO 3166-1");

/// A currency; not every spelling of one is one.
pub static CURRENCY: Spelling = Spelling::new("^[A-Z]{3}$", "must be an ISO 4217 code, like EUR");

/// A card token, which the card network gives a meaning.
pub static CARD_TOKEN: Spelling = Spelling::new("^[!-~]+$", "must be printable ASCII without spaces");

/// A time as RFC 3339 has it; not every spelling of one is one. Leap seconds are none.
pub static TIME: Spelling = Spelling::new(
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-5][0-9](\.[0-9]{1,9})?([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$",
    "must be a time like 2026-11-21T09:00:00Z",
);

impl Spelling {
    const fn new(pattern: &'static str, must: &'static str) -> Self {
        Self { pattern, must, compiled: OnceLock::new() }
    }

    /// Whether the text is spelled so.
    pub fn is_of(&self, text: &str) -> bool {
        let compiled = self.compiled.get_or_init(|| Regex::new(self.pattern).expect("every pattern above is one"));
        compiled.is_match(text)
    }
}

/// What has a spelling of its own.
pub trait Spelled: FromStr {
    /// Its spelling as a JSON schema.
    fn schema() -> Value;
}

impl Spelled for Sku {
    fn schema() -> Value {
        json!({"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,63}$"})
    }
}

impl Spelled for OrderId {
    fn schema() -> Value {
        uuid()
    }
}

impl Spelled for AccountId {
    fn schema() -> Value {
        uuid()
    }
}

/// Hyphenated: the form that is taken, of either case.
fn uuid() -> Value {
    json!({"type": "string", "format": "uuid", "minLength": 36, "maxLength": 36})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_is_of_what_it_should_be_of_and_of_nothing_else() {
        let right = [
            (&EMAIL, ["a@b", "a@b@c", "käse@example.com"]),
            (&COUNTRY, ["DE", "AA", "ZZ"]),
            (&CARD_TOKEN, ["tok_visa", "!", "~"]),
        ];
        for (spelling, texts) in right {
            for text in texts {
                assert!(spelling.is_of(text), "{text:?} of {}", spelling.pattern);
            }
        }
        let wrong = [
            (&EMAIL, ["@b", "a@", "a b@c", "a@b\u{a0}", "a@b\n"].as_slice()),
            (&COUNTRY, ["de", "DEU", "D", "DE\n"].as_slice()),
            (&CARD_TOKEN, ["", " ", "tök", "a b", "a\n"].as_slice()),
        ];
        for (spelling, texts) in wrong {
            for text in texts {
                assert!(!spelling.is_of(text), "{text:?} of {}", spelling.pattern);
            }
        }
    }

    #[test]
    fn a_sku_is_what_its_pattern_says() {
        let schema = Sku::schema();
        let pattern = Regex::new(schema["pattern"].as_str().unwrap()).unwrap();
        let long = "x".repeat(65);
        for text in ["mug", "0", "a-", "-a", "", "A", "a_b", "a b", &long, &long[1..]] {
            assert_eq!(text.parse::<Sku>().is_ok(), pattern.is_match(text), "{text:?}");
        }
    }
}
