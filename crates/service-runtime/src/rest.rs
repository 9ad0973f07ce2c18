//! The rest between two rounds of work.

use std::time::Duration;

use tokio::time::Instant;

/// How long a loop that does in a round whatever has come may rest before the next: the longer a round takes, the busier everybody
/// is, and the more comes meanwhile that shares the next one. With nothing else to do a round is short, and so is the rest.
///
/// What is rested is latency, so `max` bounds it; what is saved is the price of a round, which under load is most of the processor
/// time that is spent at all.
#[derive(Debug, Clone, Copy)]
pub struct Rest {
    /// From the beginning of one round to that of the next: so many times what the first took …
    pub times: u32,
    /// … and at least this …
    pub min: Duration,
    /// … and at most that, unless the round itself takes longer.
    pub max: Duration,
}

impl Rest {
    /// When the next round may begin, after one that began then and is over now.
    pub fn until(self, began: Instant) -> Instant {
        began + (self.times * began.elapsed()).clamp(self.min, self.max)
    }
}
