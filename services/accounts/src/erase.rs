//! Erasing an account: the person is forgotten. What stays is the id, so that whoever knows it knows of nobody.

use contracts::{ids::AccountId, topics::ACCOUNTS};
use tracing::info;

use crate::{
    Deps,
    account::Role,
    error::AccountsError,
    letters,
    store::{self, Locked},
};

/// Forgets a customer's email, name, password and address, and writes the last letter of the account. One that was erased
/// before stays so, without a letter. An operator's account is not erased this way: who runs the shop must not be lost by a
/// token that was.
pub async fn erase_account(deps: &Deps, id: AccountId) -> Result<(), AccountsError> {
    let mut tx = deps.pool.begin().await?;
    let account = store::lock_account_in_tx(&mut tx, id).await?.ok_or(AccountsError::NoSuchAccount)?;
    match account {
        Locked { is_erased: true, .. } => return Ok(tx.rollback().await?),
        Locked { role: Role::Operator, .. } => return Err(AccountsError::NotOfOperators),
        Locked { role: Role::Customer, .. } => {}
    }
    let version = store::erase_account_in_tx(&mut tx, id).await?;
    outbox::append_in_tx(&mut tx, ACCOUNTS, &letters::erased(id, version, deps.clock.now())).await?;
    tx.commit().await?;
    deps.relay.wake();
    info!(account.id = %id, "erased");
    Ok(())
}
