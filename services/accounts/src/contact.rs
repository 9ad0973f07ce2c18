//! Who someone is and where their parcels go.

use contracts::ids::AccountId;

use crate::{
    Deps,
    account::{Account, Address},
    error::AccountsError,
    store,
};

/// The account with this id.
pub async fn get_account(deps: &Deps, id: AccountId) -> Result<Account, AccountsError> {
    store::find_account(&deps.pool, id).await?.ok_or(AccountsError::NoSuchAccount)
}

/// Keeps the address in place of the one before.
pub async fn set_address(deps: &Deps, id: AccountId, address: &Address) -> Result<Account, AccountsError> {
    let mut connection = deps.pool.acquire().await?;
    store::put_address(&mut connection, id, address).await?;
    // given back first: the pool may have no second one for this call
    drop(connection);
    get_account(deps, id).await
}
