//! How long to wait before the next try.

use std::time::Duration;

/// Waits that double up to a limit.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    max: Duration,
}

impl Backoff {
    pub fn new(first: Duration, max: Duration) -> Self {
        Self { next: first.min(max), max }
    }

    /// The next wait.
    pub fn wait(&mut self) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(self.max);
        jittered(wait)
    }
}

/// The wait before the retry that follows `retries` others: `first`, twice that, four times …
pub(crate) fn nth(first: Duration, retries: u32) -> Duration {
    jittered(first.saturating_mul(1 << retries.min(16)))
}

/// Within a fifth of `wait`, so that what failed together is not tried again together.
fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(rand::random_range(0.8..1.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_retries_take_about_thirty_seconds() {
        let total: Duration = (0..5).map(|retries| nth(Duration::from_secs(1), retries)).sum();
        assert!((24.0..38.0).contains(&total.as_secs_f64()), "{total:?}");
    }

    #[test]
    fn waits_double_up_to_the_limit() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(3));
        let waits: Vec<f64> = (0..4).map(|_| backoff.wait().as_secs_f64()).collect();
        for (wait, expected) in waits.into_iter().zip([1.0, 2.0, 3.0, 3.0]) {
            assert!((wait - expected).abs() <= expected * 0.2, "{wait} is not about {expected}");
        }
    }
}
