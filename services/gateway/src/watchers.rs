//! Who has which streams of events open.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use contracts::{ids::AccountId, problem::ProblemCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::problem::Problem;

/// Places for streams: so many in all, and so many for one account, so that nobody can take all.
#[derive(Debug)]
pub struct Watchers {
    all: Arc<Semaphore>,
    of_one_max: u32,
    /// Accounts without one are not here.
    of_each: Mutex<HashMap<AccountId, u32>>,
}

/// A place for one stream, until it is dropped.
#[derive(Debug)]
pub struct Place {
    watchers: Arc<Watchers>,
    account: AccountId,
    _of_all: OwnedSemaphorePermit,
}

impl Watchers {
    /// Nobody watches yet.
    pub fn new(all_max: u32, of_one_max: u32) -> Self {
        Self { all: Arc::new(Semaphore::new(all_max as usize)), of_one_max, of_each: Mutex::default() }
    }

    /// 503 when all places are taken, 429 when the account has as many as one may have.
    pub fn place(self: &Arc<Self>, account: AccountId) -> Result<Place, Problem> {
        let of_all = self.all.clone().try_acquire_owned().map_err(|_| {
            Problem::new(ProblemCode::Unavailable, "too many streams are being watched; trying again is safe")
        })?;
        let mut of_each = self.of_each();
        let open = of_each.entry(account).or_default();
        if *open >= self.of_one_max {
            let detail = format!("an account watches {} streams at once at most; close one first", self.of_one_max);
            return Err(Problem::new(ProblemCode::RateLimited, detail));
        }
        *open += 1;
        Ok(Place { watchers: self.clone(), account, _of_all: of_all })
    }

    fn of_each(&self) -> MutexGuard<'_, HashMap<AccountId, u32>> {
        self.of_each.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut of_each = self.watchers.of_each();
        if let Entry::Occupied(mut open) = of_each.entry(self.account) {
            *open.get_mut() -= 1;
            if *open.get() == 0 {
                open.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_account_takes_no_more_than_its_own_places_and_gives_them_back() {
        let watchers = Arc::new(Watchers::new(4, 2));
        let (ada, grace, eve) = (AccountId::new(), AccountId::new(), AccountId::new());
        let of_ada = [watchers.place(ada).unwrap(), watchers.place(ada).unwrap()];
        assert_eq!(watchers.place(ada).unwrap_err().code(), ProblemCode::RateLimited);
        let _of_grace = [watchers.place(grace).unwrap(), watchers.place(grace).unwrap()];
        assert_eq!(watchers.place(eve).unwrap_err().code(), ProblemCode::Unavailable);
        drop(of_ada);
        let of_eve = watchers.place(eve).unwrap();
        assert_eq!(watchers.of_each().len(), 2);
        drop(of_eve);
        assert_eq!(watchers.of_each().len(), 1, "who watches nothing is forgotten");
    }
}
