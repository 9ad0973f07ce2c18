//! An account and its parts. A value of these types is always a right one.

use std::ops::RangeInclusive;

use contracts::{accounts::v1, ids::AccountId};

use crate::error::AccountsError;

/// Who someone is, without what they prove it with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The identity that tokens name as `sub`.
    pub id: AccountId,
    /// Where mail goes.
    pub email: Email,
    /// What to call the person.
    pub name: Name,
    /// Where parcels go, once it is known.
    pub address: Option<Address>,
}

/// What an account may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Orders, and sees own orders.
    Customer,
    /// Runs the shop, and sees everyone's orders.
    Operator,
}

impl Role {
    /// The word in the database and in tokens.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Operator => "operator",
        }
    }

    /// The role with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Customer, Self::Operator].into_iter().find(|role| role.word() == word)
    }
}

/// An email address: 3 to 254 characters, something on both sides of its last `@`, no white space. Whether mail
/// arrives there, only mail can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// The address as its owner wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Email {
    type Error = AccountsError;

    fn try_from(text: String) -> Result<Self, AccountsError> {
        let text = right_text("email", text, 3..=254)?;
        let sides = text.rsplit_once('@');
        let right = sides.is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
        if right && !text.contains(char::is_whitespace) {
            Ok(Self(text))
        } else {
            Err(AccountsError::Invalid { field: "email", rule: "must look like name@example.com".to_owned() })
        }
    }
}

/// A person's name: 1 to 100 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = AccountsError;

    fn try_from(text: String) -> Result<Self, AccountsError> {
        right_text("name", text, 1..=100).map(Self)
    }
}

/// Where parcels go.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Address {
    line1: String,
    line2: String,
    city: String,
    postal_code: String,
    country: String,
}

impl Address {
    /// The columns of the table, in its order.
    pub(crate) fn columns(&self) -> [&str; 5] {
        [&self.line1, &self.line2, &self.city, &self.postal_code, &self.country]
    }
}

impl TryFrom<v1::Address> for Address {
    type Error = AccountsError;

    fn try_from(address: v1::Address) -> Result<Self, AccountsError> {
        let country = right_text("country", address.country, 2..=2)?;
        if !country.bytes().all(|letter| letter.is_ascii_uppercase()) {
            let rule = "must be two upper-case letters, as in ISO 3166-1".to_owned();
            return Err(AccountsError::Invalid { field: "country", rule });
        }
        Ok(Self {
            line1: right_text("line1", address.line1, 1..=200)?,
            line2: right_text("line2", address.line2, 0..=200)?,
            city: right_text("city", address.city, 1..=200)?,
            postal_code: right_text("postal_code", address.postal_code, 1..=20)?,
            country,
        })
    }
}

impl From<Address> for v1::Address {
    fn from(address: Address) -> Self {
        let Address { line1, line2, city, postal_code, country } = address;
        Self { line1, line2, city, postal_code, country }
    }
}

impl From<Account> for v1::Account {
    fn from(account: Account) -> Self {
        Self {
            account_id: account.id.to_string(),
            email: account.email.0,
            name: account.name.0,
            address: account.address.map(Into::into),
        }
    }
}

impl From<Account> for v1::Contact {
    fn from(account: Account) -> Self {
        Self { account_id: account.id.to_string(), email: account.email.0, name: account.name.0 }
    }
}

impl From<Account> for v1::Destination {
    fn from(account: Account) -> Self {
        Self { account_id: account.id.to_string(), recipient: account.name.0, address: account.address.map(Into::into) }
    }
}

/// Text of `length` characters, none of them a control character (PostgreSQL cannot keep NUL, and nobody is called a
/// line break).
pub(crate) fn right_text(
    field: &'static str,
    text: String,
    length: RangeInclusive<usize>,
) -> Result<String, AccountsError> {
    if !length.contains(&text.chars().count()) {
        let rule = format!("must have {} to {} characters", length.start(), length.end());
        return Err(AccountsError::Invalid { field, rule });
    }
    if text.contains(char::is_control) {
        return Err(AccountsError::Invalid { field, rule: "must not contain control characters".to_owned() });
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn email(text: &str) -> Result<Email, AccountsError> {
        Email::try_from(text.to_owned())
    }

    #[test]
    fn an_email_has_something_on_both_sides_of_its_at() {
        for right in ["a@b", "ada@example.com", "\"a@b\"@example.com", &format!("{}@b", "a".repeat(252))] {
            assert!(email(right).is_ok(), "{right}");
        }
        for wrong in ["", "ab", "abc", "@bc", "ab@", "a b@c", "a@b\0", "a@b\n", &format!("{}@b", "a".repeat(253))] {
            assert!(email(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn lengths_are_counted_in_characters_not_bytes() {
        assert!(Name::try_from("ä".repeat(100)).is_ok());
        assert!(Name::try_from("ä".repeat(101)).is_err());
    }

    #[test]
    fn a_country_is_two_upper_case_letters() {
        let address = |country: &str| v1::Address {
            line1: "1 High Street".to_owned(),
            line2: String::new(),
            city: "Oxford".to_owned(),
            postal_code: "OX1".to_owned(),
            country: country.to_owned(),
        };
        assert!(Address::try_from(address("GB")).is_ok());
        for wrong in ["gb", "G", "GBR", "G1", "ÄÖ"] {
            assert!(Address::try_from(address(wrong)).is_err(), "{wrong}");
        }
    }
}
