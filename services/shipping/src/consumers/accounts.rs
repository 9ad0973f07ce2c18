//! `accounts.account.v1`: parcels that wait for an address may have one now.

use consumer::{EventHandler, HandlerError, Kind};
use contracts::{
    event::{Event, Payload},
    events::v1::AccountAddressChanged,
    ids::AccountId,
};
use sqlx::PgConnection;

use super::GROUP;
use crate::{ShippingError, store::questions};

/// Has the questions of a customer asked again when his address changed. The letter does not say what it is now, so it does
/// no harm when it comes late or again.
#[derive(Debug)]
pub struct HearOfAddress;

impl EventHandler for HearOfAddress {
    const GROUP: &'static str = GROUP;
    const KIND: Kind = Kind::Effect;

    // a new account has no parcels
    fn wants(&self, event_type: &str) -> bool {
        event_type == AccountAddressChanged::TYPE
    }

    async fn handle(&self, conn: &mut PgConnection, event: &Event) -> Result<(), HandlerError> {
        let named = event.decode::<AccountAddressChanged>()?.account_id;
        if named != event.subject {
            return Err(HandlerError::reject(format!("the letter of {} has account {named}", event.subject)));
        }
        let customer: AccountId = named.parse().map_err(ShippingError::InvalidCustomer)?;
        Ok(questions::renew_in_tx(conn, customer).await?)
    }
}
