//! How many letters share a transaction: as many as are done in a moment.
//!
//! Many, because a commit costs more than what it commits. But the database ends a transaction that takes long (see
//! `transaction_timeout` of the role that serves), and all that it did was in vain. How long letters take depends on the
//! handler, on the machine, and on what else goes on there, so it is measured: after an outage, when thousands wait, the
//! group must not try again and again what it cannot finish.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

/// Letters of the first transaction.
const LETTERS_FIRST: usize = 64;

/// A transaction that takes longer than this was too large, …
const TIME_MAX: Duration = Duration::from_secs(1);

/// … and one that was done sooner than this was too small.
const TIME_MIN: Duration = Duration::from_millis(250);

/// The pace of a group, as far as this process knows.
#[derive(Debug)]
pub(crate) struct Pace {
    letters: AtomicUsize,
    letters_max: usize,
}

impl Pace {
    /// A pace that grows to `letters_max`.
    pub fn new(letters_max: usize) -> Self {
        Self { letters: AtomicUsize::new(LETTERS_FIRST.min(letters_max)), letters_max }
    }

    /// How many letters the next transaction takes at most.
    pub fn letters(&self) -> usize {
        self.letters.load(Ordering::Relaxed)
    }

    /// A transaction with so many letters took so long, whether it was committed or not.
    pub fn took(&self, letters: usize, time: Duration) {
        // a transaction at a time, so nobody comes between
        let now = self.letters();
        if time > TIME_MAX {
            self.letters.store((letters.min(now) / 2).max(1), Ordering::Relaxed);
        } else if time < TIME_MIN && letters >= now {
            self.letters.store((now * 2).min(self.letters_max), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quick_grows_to_the_limit_and_what_is_slow_shrinks_to_single_letters() {
        let pace = Pace::new(500);
        for _ in 0..10 {
            pace.took(pace.letters(), Duration::from_millis(10));
        }
        assert_eq!(pace.letters(), 500);
        for _ in 0..20 {
            pace.took(pace.letters(), Duration::from_secs(10));
        }
        assert_eq!(pace.letters(), 1);
    }

    #[test]
    fn few_letters_that_are_quick_say_nothing_about_many() {
        let pace = Pace::new(500);
        pace.took(1, Duration::from_millis(1));
        assert_eq!(pace.letters(), LETTERS_FIRST);
    }
}
