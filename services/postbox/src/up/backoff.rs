//! How long to wait before a child that ended is started again.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);
/// A child that ran this long was healthy: its end is a new trouble, not the old one.
const HEALTHY: Duration = Duration::from_secs(10);

/// The delay doubles from one end to the next, up to a bound.
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
}

impl Backoff {
    /// Before the first end.
    pub fn new() -> Self {
        Self { next: FIRST }
    }

    /// The delay after a child ended that had run for `ran`.
    pub fn after(&mut self, ran: Duration) -> Duration {
        if ran >= HEALTHY {
            self.next = FIRST;
        }
        let delay = self.next;
        self.next = (delay * 2).min(LONGEST);
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_ONCE: Duration = Duration::ZERO;

    #[test]
    fn the_delay_doubles_up_to_five_seconds() {
        let mut backoff = Backoff::new();
        let delays: Vec<u128> = (0..8).map(|_| backoff.after(AT_ONCE).as_millis()).collect();
        assert_eq!(delays, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
    }

    #[test]
    fn a_child_that_ran_for_a_while_is_started_again_soon() {
        let mut backoff = Backoff::new();
        for _ in 0..8 {
            backoff.after(AT_ONCE);
        }
        assert_eq!(backoff.after(HEALTHY), FIRST);
        assert_eq!(backoff.after(AT_ONCE), FIRST * 2);
    }
}
