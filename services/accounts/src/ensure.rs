//! An account for somebody who logs in elsewhere: mails and parcels need one, and its owner never registered here.

use contracts::{accounts::v1, topics::ACCOUNTS};

use crate::{Deps, account::Account, error::AccountsError, grpc::account_id, letters, store};

impl TryFrom<v1::EnsureAccountRequest> for Account {
    type Error = AccountsError;

    fn try_from(request: v1::EnsureAccountRequest) -> Result<Self, AccountsError> {
        Ok(Self {
            id: account_id(&request.account_id)?,
            email: request.email.try_into()?,
            name: request.name.try_into()?,
            address: None,
        })
    }
}

/// Makes the account and writes its letter, or brings the email and the name of the one that is there up to date. That has no
/// letter: who writes to a person asks each time. An account with a password is its owner's own and stays as it is. So does one that was
/// erased, and whoever it was is told that it is gone: their issuer gives them tokens for ever, and they have asked to be forgotten.
pub async fn ensure_account(deps: &Deps, account: &Account) -> Result<(), AccountsError> {
    let mut tx = deps.pool.begin().await?;
    let is_new = store::insert_account_without_password_in_tx(&mut tx, account).await?;
    if is_new {
        outbox::append_in_tx(&mut tx, ACCOUNTS, &letters::registered(account.id, deps.clock.now())).await?;
    } else {
        let locked = store::lock_account_in_tx(&mut tx, account.id).await?.ok_or(AccountsError::NoSuchAccount)?;
        if locked.is_erased {
            return Err(AccountsError::Erased);
        }
        store::put_contact_in_tx(&mut tx, account).await?;
    }
    tx.commit().await?;
    if is_new {
        deps.relay.wake();
    }
    Ok(())
}
