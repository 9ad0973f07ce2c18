//! How long to wait before the next try.

use std::time::Duration;

use tokio::time::Instant;

/// The first wait of an outage.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The wait between two tries during an outage. It doubles up to a limit.
#[derive(Debug)]
pub(crate) struct Pause {
    wait: Duration,
    until: Instant,
}

impl Pause {
    /// The pause that begins now, after `previous` if that was of the same outage.
    pub fn begin(previous: Option<&Self>, max: Duration) -> Self {
        let wait = previous.map_or(FIRST_WAIT, |previous| previous.wait * 2).min(max);
        Self { wait, until: Instant::now() + jittered(wait) }
    }

    /// When it is time to try again.
    pub fn until(&self) -> Instant {
        self.until
    }

    pub fn is_over(&self) -> bool {
        self.until <= Instant::now()
    }
}

/// The wait before a letter is tried again that was tried again so many times: `first`, twice that, four times …
pub(crate) fn before_retry(first: Duration, retries: i32) -> Duration {
    jittered(first.saturating_mul(1 << retries.clamp(0, 16)))
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
        let total: Duration = (0..5).map(|retries| before_retry(Duration::from_secs(1), retries)).sum();
        assert!((24.0..38.0).contains(&total.as_secs_f64()), "{total:?}");
    }

    #[test]
    fn pauses_double_up_to_the_limit() {
        let mut last = None;
        for expected in [100, 200, 400, 500, 500] {
            let pause = Pause::begin(last.as_ref(), Duration::from_millis(500));
            assert_eq!(pause.wait, Duration::from_millis(expected));
            last = Some(pause);
        }
    }
}
