//! `accounts.account.v1`: what parcels wait for may be there now, or may never come.

use consumer::{EventHandler, HandlerError, Kind};
use contracts::{
    event::{Event, Payload},
    events::v1::{AccountAddressChanged, AccountErased},
    ids::AccountId,
};
use sqlx::PgConnection;

use super::GROUP;
use crate::{ShippingError, store::questions};

/// Has the questions of a customer asked again when his address changed or his account was erased. The letter does not say what is
/// true now, which the answer does; so it does no harm when it comes late or again.
#[derive(Debug)]
pub struct HearOfAccount;

impl EventHandler for HearOfAccount {
    const GROUP: &'static str = GROUP;
    const KIND: Kind = Kind::Effect;

    // a new account has no parcels
    fn wants(&self, event_type: &str) -> bool {
        [AccountAddressChanged::TYPE, AccountErased::TYPE].contains(&event_type)
    }

    async fn handle(&self, conn: &mut PgConnection, event: &Event) -> Result<(), HandlerError> {
        let named = match event.event_type.as_str() {
            AccountErased::TYPE => event.decode::<AccountErased>()?.account_id,
            _ => event.decode::<AccountAddressChanged>()?.account_id,
        };
        if named != event.subject {
            return Err(HandlerError::reject(format!("the letter of {} has account {named}", event.subject)));
        }
        let customer: AccountId = named.parse().map_err(ShippingError::InvalidCustomer)?;
        Ok(questions::renew_in_tx(conn, customer).await?)
    }
}
