//! Accounts for people whom an issuer outside vouches for. They never registered, so accounts knows nobody of them until the
//! gateway says who they are: before the first order, the first look at their own account, and when email or name have changed. Somebody
//! who was erased is not made again: to them it is 401, as with a token of accounts that outlived its account.

use std::{sync::Arc, time::Duration};

use contracts::{
    accounts::v1::{EnsureAccountRequest, accounts_service_client::AccountsServiceClient},
    ids::AccountId,
    problem::ProblemCode,
};
use moka::sync::Cache;
use rpc::Channel;

use crate::{ASK_DEADLINE, accounts::of_account, issuer::Claims, problem::Problem};

/// The most people who are known to have an account, at a time.
const PEOPLE_KNOWN_MAX: u64 = 10_000;

/// How long it is known. accounts may be given another database, or lose somebody who wished so.
const KNOWN_FOR: Duration = Duration::from_hours(1);

/// Who has an account.
#[derive(Debug)]
pub struct Newcomers {
    accounts: AccountsServiceClient<Channel>,
    /// By account, what accounts was told last.
    known: Cache<AccountId, Arc<Claims>>,
}

impl Newcomers {
    /// Nobody is known yet.
    pub fn new(accounts: AccountsServiceClient<Channel>) -> Self {
        let known = Cache::builder().max_capacity(PEOPLE_KNOWN_MAX).time_to_live(KNOWN_FOR);
        Self { accounts, known: known.build() }
    }

    /// Sees that whose claims these are has an account. Whoever came from accounts has one.
    pub async fn ensure(&self, claims: &Arc<Claims>) -> Result<(), Problem> {
        let Some(person) = &claims.person else { return Ok(()) };
        if self.known.get(&claims.account).is_some_and(|known| known.person == claims.person) {
            return Ok(());
        }
        let email = person.email.clone().ok_or_else(|| {
            let detail = "the token has no claim `email`: customers are written to, so its issuer must put one into it";
            Problem::new(ProblemCode::Forbidden, detail)
        })?;
        let request = EnsureAccountRequest { account_id: claims.account.to_string(), email, name: person.name.clone() };
        let answer = rpc::ask(ASK_DEADLINE, request, |request| {
            let mut accounts = self.accounts.clone();
            async move { accounts.ensure_account(request).await }
        });
        answer.await.map_err(|status| match rpc::problem_of(&status) {
            // nothing that the request says is wrong
            ProblemCode::Invalid => {
                let detail = format!("the token's claims make no account: {}", status.message());
                Problem::new(ProblemCode::Forbidden, detail)
            }
            // one that was erased stays so, whatever tokens its person still gets
            _ => of_account(status),
        })?;
        self.known.insert(claims.account, claims.clone());
        Ok(())
    }

    /// Somebody's account may be gone: accounts is asked before they are believed to have one.
    pub fn forget(&self, account: AccountId) {
        self.known.invalidate(&account);
    }
}
