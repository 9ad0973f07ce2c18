//! Proving who one is, and getting a token for it.

use crate::{Deps, account::Email, error::AccountsError, password::Password, store};

/// A token when the password is that of the account with this email. An unknown email, text that is no email, and a
/// wrong password have the same answer, and all take the time of one hash.
pub async fn login(deps: &Deps, email: String, password: String) -> Result<String, AccountsError> {
    let credentials = match Email::try_from(email) {
        Ok(email) => store::find_credentials(&deps.pool, &email).await?,
        Err(_) => None,
    };
    let hash = credentials.as_ref().map(|credentials| credentials.password_hash.clone());
    let right = deps.hasher.is_right(Password::to_be_checked(password), hash).await?;
    let credentials = credentials.filter(|_| right).ok_or(AccountsError::WrongCredentials)?;
    Ok(deps.signing_key.token(credentials.id, credentials.role, credentials.checked_at))
}
