//! The only map from a change of an account to the letter that tells it. A letter says that something changed, never what:
//! who needs to know asks, and is answered with what is true then.

use contracts::{
    event::{Event, Payload},
    events::v1::{AccountAddressChanged, AccountErased, AccountRegistered},
    ids::AccountId,
    topics::ACCOUNTS,
};
use jiff::Timestamp;
use service_runtime::telemetry;

/// There is a new account, with or without an address.
pub(crate) fn registered(id: AccountId, now: Timestamp) -> Event {
    letter(id, 1, now, &AccountRegistered { account_id: id.to_string() })
}

/// Parcels go somewhere else, or somewhere at all. `version` is the account's after the change.
pub(crate) fn address_changed(id: AccountId, version: i64, now: Timestamp) -> Event {
    letter(id, version, now, &AccountAddressChanged { account_id: id.to_string() })
}

/// The person is forgotten. `version` is the account's after that, and its last.
pub(crate) fn erased(id: AccountId, version: i64, now: Timestamp) -> Event {
    letter(id, version, now, &AccountErased { account_id: id.to_string() })
}

fn letter<P: Payload>(id: AccountId, version: i64, now: Timestamp, payload: &P) -> Event {
    let mut event = Event::new(ACCOUNTS, id.to_string(), version, now, payload);
    event.traceparent = telemetry::traceparent();
    event
}
