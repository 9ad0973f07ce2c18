//! Who someone is and where their parcels go.

use contracts::{ids::AccountId, topics::ACCOUNTS};
use tracing::error;

use crate::{
    Deps,
    account::{Account, Address},
    error::AccountsError,
    letters, store,
};

/// The account with this id.
pub async fn get_account(deps: &Deps, id: AccountId) -> Result<Account, AccountsError> {
    store::find_accounts(&deps.pool, &[id]).await?.remove(&id).unwrap_or(Err(AccountsError::NoSuchAccount))
}

/// What was found of several accounts. One that there never was is in none of the lists.
#[derive(Debug, Default)]
pub struct Found {
    /// In any sequence.
    pub accounts: Vec<Account>,
    /// Whose rows cannot be read.
    pub unreadable: Vec<AccountId>,
    /// Of whom nothing is left.
    pub erased: Vec<AccountId>,
}

/// The accounts with these ids. One that cannot be read is in nobody's way.
pub async fn get_accounts(deps: &Deps, ids: &[AccountId]) -> Result<Found, AccountsError> {
    let mut found = Found::default();
    for (id, account) in store::find_accounts(&deps.pool, ids).await? {
        match account {
            Ok(account) => found.accounts.push(account),
            Err(AccountsError::Erased) => found.erased.push(id),
            Err(error) => {
                error!(account.id = %id, %error, "an account cannot be read");
                found.unreadable.push(id);
            }
        }
    }
    Ok(found)
}

/// Keeps the address in place of the one before, and writes the letter that it changed. The same address again changes
/// nothing and has no letter.
pub async fn set_address(deps: &Deps, id: AccountId, address: &Address) -> Result<Account, AccountsError> {
    let mut tx = deps.pool.begin().await?;
    // first of all: an address that is set while the account is erased would stay behind
    let account = store::lock_account_in_tx(&mut tx, id).await?.ok_or(AccountsError::NoSuchAccount)?;
    if account.is_erased {
        return Err(AccountsError::Erased);
    }
    if store::put_address_in_tx(&mut tx, id, address).await? {
        let version = store::count_change_in_tx(&mut tx, id).await?;
        let letter = letters::address_changed(id, version, deps.clock.now());
        outbox::append_in_tx(&mut tx, ACCOUNTS, &letter).await?;
    }
    // also gives the connection back, before the next is asked for: the pool may have no second one for this call
    tx.commit().await?;
    deps.relay.wake();
    get_account(deps, id).await
}
