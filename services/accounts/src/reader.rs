//! Accounts as they are read: followers ask for one after another, and those that are asked for at the same time share a statement.

use std::sync::Arc;

use batcher::{Batch, Batcher, Limits};
use contracts::ids::AccountId;
use sqlx::PgPool;

use crate::{account::Account, error::AccountsError, store};

/// What may wait to be read; who comes then is refused.
const WAITING_MAX: usize = 1_024;

/// The most of one statement.
const BATCH_MAX: usize = 256;

/// Reads accounts.
#[derive(Debug, Clone)]
pub struct Reader(Batcher<Together>);

impl Reader {
    /// Must be called where tasks can be spawned.
    pub fn start(pool: PgPool) -> Self {
        let limits = Limits { queue_max: WAITING_MAX, weight_max: BATCH_MAX };
        Self(Batcher::start("accounts", Together { pool }, limits))
    }

    /// The account with this id.
    pub async fn find(&self, id: AccountId) -> Result<Account, AccountsError> {
        self.0.submit(id).await?.unwrap_or(Err(AccountsError::NoSuchAccount))
    }
}

#[derive(Debug)]
struct Together {
    pool: PgPool,
}

impl Batch for Together {
    type Request = AccountId;
    type Answer = Option<Result<Account, AccountsError>>;
    type Error = Arc<AccountsError>;

    async fn write(&self, ids: &[AccountId]) -> Result<Vec<Self::Answer>, Arc<AccountsError>> {
        let mut found = store::find_accounts(&self.pool, ids).await?;
        let answer = |(place, id): (usize, &AccountId)| {
            // whoever asks for the same account later in the list has it as well
            if ids[place + 1..].contains(id)
                && let Some(Ok(account)) = found.get(id)
            {
                return Some(Ok(account.clone()));
            }
            found.remove(id)
        };
        Ok(ids.iter().enumerate().map(answer).collect())
    }

    // what cannot be read in one row is its own answer
    fn is_of_one_request(_: &Arc<AccountsError>) -> bool {
        false
    }
}
