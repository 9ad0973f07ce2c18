//! Where a limit counts: a place for each key, up to a bound that whoever has many addresses cannot get past.

use std::{
    fmt,
    hash::{BuildHasher, Hash, RandomState},
    sync::atomic::{AtomicUsize, Ordering},
};

use governor::{
    nanos::Nanos,
    state::{
        InMemoryState, NotKeyed, StateStore,
        keyed::{DashMapStateStore, ShrinkableKeyedStateStore},
    },
};

/// The most keys with a place of their own: 4 MB, and far more than are there within a minute when nobody is up to something.
const KEYS_MAX: usize = 65_536;

/// The places that all other keys share, each in the same one again and again. So many that one who sends much is seldom met there.
const SHARED_PLACES: usize = 1024;

/// A place for each key.
pub struct Counts<K: Hash + Eq + Clone> {
    own: DashMapStateStore<K>,
    /// How many keys have one: to ask the map itself is to lock all of it.
    keys: AtomicUsize,
    shared: Box<[InMemoryState]>,
    /// Which of the shared places is a key's, so that nobody can choose to sit beside somebody.
    lots: RandomState,
}

impl<K: Hash + Eq + Clone> Default for Counts<K> {
    fn default() -> Self {
        Self {
            own: DashMapStateStore::default(),
            keys: AtomicUsize::new(0),
            shared: std::iter::repeat_with(InMemoryState::default).take(SHARED_PLACES).collect(),
            lots: RandomState::new(),
        }
    }
}

/// Whose places there are is nobody's business.
impl<K: Hash + Eq + Clone> fmt::Debug for Counts<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counts").field("keys", &self.keys).finish_non_exhaustive()
    }
}

impl<K: Hash + Eq + Clone> Counts<K> {
    fn shared_place(&self, key: &K) -> &InMemoryState {
        let lot = self.lots.hash_one(key) % (SHARED_PLACES as u64);
        &self.shared[usize::try_from(lot).expect("there are not so many places")]
    }
}

impl<K: Hash + Eq + Clone> StateStore for Counts<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        if let Some(own) = self.own.get(key) {
            return own.measure_and_replace(&NotKeyed::NonKey, measure);
        }
        if self.keys.load(Ordering::Relaxed) >= KEYS_MAX {
            return self.shared_place(key).measure_and_replace(&NotKeyed::NonKey, measure);
        }
        let own = self.own.entry(key.clone()).or_insert_with(|| {
            self.keys.fetch_add(1, Ordering::Relaxed);
            InMemoryState::default()
        });
        own.measure_and_replace(&NotKeyed::NonKey, measure)
    }
}

impl<K: Hash + Eq + Clone> ShrinkableKeyedStateStore<K> for Counts<K> {
    fn retain_recent(&self, drop_below: Nanos) {
        self.own.retain_recent(drop_below);
        // a few that come in between are not counted until the next time
        self.keys.store(self.own.len(), Ordering::Relaxed);
    }

    fn len(&self) -> usize {
        self.keys.load(Ordering::Relaxed)
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;
    use crate::limit::Limit;

    fn is_refused(limit: &Limit<usize>, key: usize) -> bool {
        limit.count(&key).problem().is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn more_keys_than_there_are_places_share_some_and_whoever_had_one_keeps_it() {
        let limit = Limit::new("address", 2).unwrap();
        for key in 0..KEYS_MAX {
            assert!(!is_refused(&limit, key));
        }
        // as if nobody limited whoever comes under a new key each time
        let newcomers = KEYS_MAX..KEYS_MAX + 20 * SHARED_PLACES;
        let taken = newcomers.filter(|&key| !is_refused(&limit, key)).count();
        assert!(taken <= 2 * SHARED_PLACES, "{taken} were taken");
        assert_eq!(limit.counted_keys(), KEYS_MAX);
        assert!(!is_refused(&limit, 0) && is_refused(&limit, 0), "the first has his second request left");

        // a key for which nothing counts any more gives its place back
        advance(Duration::from_secs(91)).await;
        limit.forget();
        assert_eq!(limit.counted_keys(), 0);
        assert!(!is_refused(&limit, KEYS_MAX));
        assert_eq!(limit.counted_keys(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_still_counts_is_not_forgotten() {
        let limit = Limit::new("address", 2).unwrap();
        assert!(!is_refused(&limit, 1) && !is_refused(&limit, 1));
        advance(Duration::from_secs(29)).await;
        limit.forget();
        assert!(is_refused(&limit, 1));
    }
}
