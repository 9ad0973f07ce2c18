//! Accounts as they are read: followers ask for one after another, and those that are asked for at the same time share a statement.

use std::sync::Arc;

use batcher::{Batch, Batcher, Limits};
use contracts::ids::AccountId;
use sqlx::PgPool;
use tracing::error;

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
        let limits = Limits { queue_max: WAITING_MAX, weight_max: BATCH_MAX, requests_max: BATCH_MAX };
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
        let found = store::find_accounts(&self.pool, ids).await?;
        // several may ask for one account
        let answer = |id: &AccountId| {
            found.get(id).map(|account| match account {
                Ok(account) => Ok(account.clone()),
                Err(error) => {
                    error!(account.id = %id, %error, "an account cannot be read");
                    Err(AccountsError::BrokenRow("account"))
                }
            })
        };
        Ok(ids.iter().map(answer).collect())
    }

    // what cannot be read in one row is its own answer
    fn is_of_one_request(_: &Arc<AccountsError>) -> bool {
        false
    }
}
