//! All SQL of this service.

use std::collections::HashMap;

use contracts::ids::AccountId;
use jiff::Timestamp;
use sqlx::{FromRow, PgConnection, PgPool, Row, postgres::PgRow};
use uuid::Uuid;

use crate::{
    account::{Account, Address, Email, Name, Role},
    error::AccountsError,
};

/// What a login is checked against.
pub struct Credentials {
    pub id: AccountId,
    pub role: Role,
    pub password_hash: String,
    /// By the database's clock: a machine whose own clock is wrong signs no tokens that are valid too late or too long.
    pub checked_at: Timestamp,
}

/// What decides what may be done with an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Locked {
    pub role: Role,
    /// Whether its person is forgotten.
    pub is_erased: bool,
}

/// Keeps a new account. The unique index says whether the email is free.
pub async fn insert_account_in_tx(
    tx: &mut PgConnection,
    account: &Account,
    role: Role,
    password_hash: &str,
) -> Result<(), AccountsError> {
    sqlx::query("INSERT INTO account (account_id, email, password_hash, name, role) VALUES ($1, $2, $3, $4, $5)")
        .bind(account.id.as_uuid())
        .bind(account.email.as_str())
        .bind(password_hash)
        .bind(account.name.as_str())
        .bind(role.word())
        .execute(tx)
        .await
        .map_err(|error| on_constraint(error, "account_email_key", AccountsError::EmailTaken))?;
    Ok(())
}

/// Keeps the account of somebody who logs in elsewhere, unless there is one with its id. Whether it is new.
pub async fn insert_account_without_password_in_tx(
    tx: &mut PgConnection,
    account: &Account,
) -> Result<bool, AccountsError> {
    let inserted = sqlx::query(
        "INSERT INTO account (account_id, email, name, role) VALUES ($1, $2, $3, $4)
         ON CONFLICT (account_id) DO NOTHING",
    )
    .bind(account.id.as_uuid())
    .bind(account.email.as_str())
    .bind(account.name.as_str())
    .bind(Role::Customer.word())
    .execute(tx)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Keeps the email and the name of a locked account that has no password; one with a password stays as it is.
pub async fn put_contact_in_tx(tx: &mut PgConnection, account: &Account) -> Result<(), AccountsError> {
    sqlx::query(
        "UPDATE account SET email = $2, name = $3
         WHERE account_id = $1 AND erased_at IS NULL AND password_hash IS NULL AND (email, name) <> ($2, $3)",
    )
    .bind(account.id.as_uuid())
    .bind(account.email.as_str())
    .bind(account.name.as_str())
    .execute(tx)
    .await?;
    Ok(())
}

/// The account with this id, also when it is erased. Nobody else changes it, or its address, until the transaction ends.
pub async fn lock_account_in_tx(tx: &mut PgConnection, id: AccountId) -> Result<Option<Locked>, AccountsError> {
    let row: Option<(String, bool)> =
        sqlx::query_as("SELECT role, erased_at IS NOT NULL FROM account WHERE account_id = $1 FOR NO KEY UPDATE")
            .bind(id.as_uuid())
            .fetch_optional(tx)
            .await?;
    let locked = |(role, is_erased): (String, bool)| {
        let role = Role::from_word(&role).ok_or(AccountsError::BrokenRow("account"))?;
        Ok(Locked { role, is_erased })
    };
    row.map(locked).transpose()
}

/// Forgets who the person of a locked account was, counts that as a change, and gives the account's version after it.
pub async fn erase_account_in_tx(tx: &mut PgConnection, id: AccountId) -> Result<i64, AccountsError> {
    sqlx::query("DELETE FROM address WHERE account_id = $1").bind(id.as_uuid()).execute(&mut *tx).await?;
    let version = sqlx::query_scalar(
        "UPDATE account
         SET email = NULL, name = NULL, password_hash = NULL, erased_at = now(), version = version + 1
         WHERE account_id = $1 RETURNING version",
    )
    .bind(id.as_uuid())
    .fetch_one(tx)
    .await?;
    Ok(version)
}

/// Keeps the address of a locked account, in place of the one before. Whether it is another one.
pub async fn put_address_in_tx(tx: &mut PgConnection, id: AccountId, address: &Address) -> Result<bool, AccountsError> {
    let [line1, line2, city, postal_code, country] = address.columns();
    let put = sqlx::query(
        "INSERT INTO address (account_id, line1, line2, city, postal_code, country) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (account_id) DO UPDATE
         SET (line1, line2, city, postal_code, country, updated_at)
           = (EXCLUDED.line1, EXCLUDED.line2, EXCLUDED.city, EXCLUDED.postal_code, EXCLUDED.country, now())
         WHERE (address.line1, address.line2, address.city, address.postal_code, address.country)
            <> (EXCLUDED.line1, EXCLUDED.line2, EXCLUDED.city, EXCLUDED.postal_code, EXCLUDED.country)",
    )
    .bind(id.as_uuid())
    .bind(line1)
    .bind(line2)
    .bind(city)
    .bind(postal_code)
    .bind(country)
    .execute(tx)
    .await?;
    Ok(put.rows_affected() == 1)
}

/// Counts one more change of a locked account, and gives its version after it. That it is locked until the transaction ends
/// is why letters are written in the order of their versions.
pub async fn count_change_in_tx(tx: &mut PgConnection, id: AccountId) -> Result<i64, AccountsError> {
    let version =
        sqlx::query_scalar("UPDATE account SET version = version + 1 WHERE account_id = $1 RETURNING version")
            .bind(id.as_uuid())
            .fetch_one(tx)
            .await?;
    Ok(version)
}

/// The accounts with these ids, those that there are; each readable, or not, or erased.
pub async fn find_accounts(
    pool: &PgPool,
    ids: &[AccountId],
) -> Result<HashMap<AccountId, Result<Account, AccountsError>>, AccountsError> {
    let rows = sqlx::query(
        "SELECT account_id, email, name, erased_at IS NOT NULL AS is_erased, line1, line2, city, postal_code, country
         FROM account LEFT JOIN (SELECT * FROM address WHERE account_id = ANY ($1)) AS address USING (account_id)
         WHERE account_id = ANY ($1)",
    )
    .bind(ids.iter().map(|id| id.as_uuid()).collect::<Vec<_>>())
    .fetch_all(pool)
    .await?;
    let read = |row: &PgRow| Ok((row.try_get::<Uuid, _>("account_id")?.into(), account(row)));
    rows.iter().map(read).collect()
}

/// What the login with this email is checked against.
pub async fn find_credentials(pool: &PgPool, email: &Email) -> Result<Option<Credentials>, AccountsError> {
    let row: Option<(Uuid, String, String, jiff_sqlx::Timestamp)> =
        // an account without a password is nobody's who logs in here
        sqlx::query_as(
            "SELECT account_id, role, password_hash, now() FROM account
             WHERE lower(email) = lower($1) AND password_hash IS NOT NULL",
        )
        .bind(email.as_str())
        .fetch_optional(pool)
        .await?;
    let credentials = |(id, role, password_hash, checked_at): (Uuid, String, String, jiff_sqlx::Timestamp)| {
        let role = Role::from_word(&role).ok_or(AccountsError::BrokenRow("account"))?;
        Ok(Credentials { id: id.into(), role, password_hash, checked_at: checked_at.to_jiff() })
    };
    row.map(credentials).transpose()
}

fn account(row: &PgRow) -> Result<Account, AccountsError> {
    let broken = |_| AccountsError::BrokenRow("account");
    if row.try_get("is_erased")? {
        return Err(AccountsError::Erased);
    }
    let has_address = row.try_get::<Option<String>, _>("line1")?.is_some();
    Ok(Account {
        id: row.try_get::<Uuid, _>("account_id")?.into(),
        email: Email::try_from(row.try_get::<String, _>("email")?).map_err(broken)?,
        name: Name::try_from(row.try_get::<String, _>("name")?).map_err(broken)?,
        address: if has_address { Some(Address::from_row(row)?) } else { None },
    })
}

/// The error that the broken rule `constraint` stands for.
fn on_constraint(error: sqlx::Error, constraint: &str, meaning: AccountsError) -> AccountsError {
    match &error {
        sqlx::Error::Database(told) if told.constraint() == Some(constraint) => meaning,
        _ => error.into(),
    }
}
