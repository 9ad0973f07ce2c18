//! Making an account.

use contracts::{accounts::v1, ids::AccountId, topics::ACCOUNTS};
use operator_log::{Action, Operator, note_in_tx};
use service_runtime::clock::Clock;
use sqlx::PgPool;

use crate::{
    account::{Account, Address, Email, Name, Role},
    error::AccountsError,
    letters,
    password::{Hasher, Password},
    store,
};

/// Someone who wants an account.
#[derive(Debug)]
pub struct NewAccount {
    /// Nobody else's.
    pub email: Email,
    /// Only its hash is kept.
    pub password: Password,
    /// What to call the person.
    pub name: Name,
    /// May come later.
    pub address: Option<Address>,
}

impl TryFrom<v1::RegisterRequest> for NewAccount {
    type Error = AccountsError;

    fn try_from(request: v1::RegisterRequest) -> Result<Self, AccountsError> {
        Ok(Self {
            email: request.email.try_into()?,
            password: request.password.try_into()?,
            name: request.name.try_into()?,
            address: request.address.map(TryInto::try_into).transpose()?,
        })
    }
}

/// Makes the account, with its address when there is one, and writes one letter about it. The caller wakes the relay. An operator, who is
/// made at the command line alone, has an entry in the operator log besides.
pub async fn register(
    pool: &PgPool,
    hasher: &Hasher,
    clock: Clock,
    new: NewAccount,
    role: Role,
) -> Result<Account, AccountsError> {
    let NewAccount { email, password, name, address } = new;
    // before the transaction: a hash takes longer than all the SQL
    let password_hash = hasher.hash(password).await?;
    let account = Account { id: AccountId::new(), email, name, address };
    let mut tx = pool.begin().await?;
    store::insert_account_in_tx(&mut tx, &account, role, &password_hash).await?;
    if let Some(address) = &account.address {
        store::put_address_in_tx(&mut tx, account.id, address).await?;
    }
    if role == Role::Operator {
        // whoever has the program and the password of the database: more is not known
        let action = Action::new(Operator::CommandLine, "create-operator", format!("account/{}", account.id));
        note_in_tx(&mut tx, &action).await?;
    }
    outbox::append_in_tx(&mut tx, ACCOUNTS, &letters::registered(account.id, clock.now())).await?;
    tx.commit().await?;
    Ok(account)
}
