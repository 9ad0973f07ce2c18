//! An account, as its owner sees it.

use contracts::accounts::v1::{Account, Address};
use schemars::JsonSchema;
use serde::Serialize;

/// Who one is.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Account")]
pub struct AccountJson {
    account_id: String,
    email: String,
    name: String,
    address: Option<AddressJson>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Address")]
struct AddressJson {
    line1: String,
    line2: Option<String>,
    city: String,
    postal_code: String,
    /// ISO 3166-1, two letters.
    country: String,
}

impl From<Account> for AccountJson {
    fn from(account: Account) -> Self {
        let Account { account_id, email, name, address } = account;
        Self { account_id, email, name, address: address.map(Into::into) }
    }
}

impl From<Address> for AddressJson {
    fn from(address: Address) -> Self {
        let Address { line1, line2, city, postal_code, country } = address;
        Self { line1, line2: Some(line2).filter(|line| !line.is_empty()), city, postal_code, country }
    }
}
