//! How far back work that is due is looked for.

use std::time::Duration;

use tokio::time::Instant;

/// What was due before the last look that found nothing more is done, or was not committed when it was looked for: that is found by
/// looking this far beyond.
const LATE: Duration = Duration::from_secs(2);

/// How often it is looked from the beginning all the same, for what was committed later still, or was held by somebody who gave it back …
const WHOLE_EVERY: Duration = Duration::from_secs(5);

/// … and never so often that it takes more than one part in so many of the time.
const WHOLE_SHARE: u32 = 20;

/// Where a queue is looked through from.
///
/// Done work leaves its entries in the index of the queue until nobody can see them any more. One who reads for long (a dump, a report, a
/// session that was forgotten) keeps all of them there, and who looks from the beginning passes them each time: the queue becomes the
/// slower the more is done. So a look begins a little before the last one that found nothing more.
#[derive(Debug, Default)]
pub struct Horizon {
    /// When the last look began that took all there was.
    nothing_left: Option<Instant>,
    /// When the next look is from the beginning.
    whole_at: Option<Instant>,
}

/// How far before the database's `now()` a look begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LookBack(Duration);

impl LookBack {
    /// From the beginning.
    pub const WHOLE: Self = Self(Duration::from_hours(24 * 365 * 100));

    /// In seconds, for `now() - make_interval(secs => …)`.
    pub fn seconds(self) -> f64 {
        self.0.as_secs_f64()
    }
}

impl Horizon {
    /// For the look that begins now.
    pub fn look_back(&self) -> LookBack {
        match (self.nothing_left, self.whole_at) {
            (Some(nothing_left), Some(whole_at)) if Instant::now() < whole_at => {
                LookBack(nothing_left.elapsed() + LATE)
            }
            _ => LookBack::WHOLE,
        }
    }

    /// After a look that began then, and took all that there was or only as much as there was room for.
    pub fn looked(&mut self, back: LookBack, began: Instant, took_all: bool) {
        if took_all {
            self.nothing_left = Some(began);
        }
        if back == LookBack::WHOLE {
            self.whole_at = Some(Instant::now() + WHOLE_EVERY.max(began.elapsed() * WHOLE_SHARE));
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_look_begins_a_little_before_the_last_that_took_all() {
        let mut horizon = Horizon::default();
        let whole = horizon.look_back();
        assert_eq!(whole, LookBack::WHOLE);
        horizon.looked(whole, Instant::now(), true);
        advance(Duration::from_secs(1)).await;
        assert_eq!(horizon.look_back(), LookBack(Duration::from_secs(1) + LATE));
        // there is more: where it was looked from stays
        horizon.looked(horizon.look_back(), Instant::now(), false);
        advance(Duration::from_secs(1)).await;
        assert_eq!(horizon.look_back(), LookBack(Duration::from_secs(2) + LATE));
        horizon.looked(horizon.look_back(), Instant::now(), true);
        assert_eq!(horizon.look_back(), LookBack(LATE));
    }

    #[tokio::test(start_paused = true)]
    async fn while_the_first_looks_leave_some_each_is_from_the_beginning() {
        let mut horizon = Horizon::default();
        horizon.looked(LookBack::WHOLE, Instant::now(), false);
        assert_eq!(horizon.look_back(), LookBack::WHOLE);
    }

    #[tokio::test(start_paused = true)]
    async fn now_and_then_a_look_is_from_the_beginning_the_more_seldom_the_longer_that_takes() {
        let mut horizon = Horizon::default();
        horizon.looked(LookBack::WHOLE, Instant::now(), true);
        advance(WHOLE_EVERY).await;
        assert_eq!(horizon.look_back(), LookBack::WHOLE);
        let began = Instant::now();
        advance(Duration::from_secs(1)).await;
        horizon.looked(LookBack::WHOLE, began, true);
        advance(Duration::from_secs(19)).await;
        assert_ne!(horizon.look_back(), LookBack::WHOLE);
        advance(Duration::from_secs(1)).await;
        assert_eq!(horizon.look_back(), LookBack::WHOLE);
    }
}
