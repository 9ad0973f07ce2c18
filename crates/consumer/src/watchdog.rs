//! Whether a member gets on. Librdkafka says so when a member did not poll for too long, but not always (rust-rdkafka
//! #433), and of a fetch that hangs it says nothing. So the member watches itself, and is replaced when it does not get on.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use crate::group::Partition;

/// How long letters may lie in a partition, and none come, while a broker is there and the member has room.
const PATIENCE: Duration = Duration::from_mins(1);

/// How far librdkafka is in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fetched {
    /// The offset that it fetches next; behind the last mark of a transaction it is the end.
    pub next: i64,
    /// The offset after the last that may be read.
    pub end: i64,
    /// Letters that it holds ready.
    pub ready: i64,
}

impl Fetched {
    fn has_more(self) -> bool {
        self.ready > 0 || self.next < self.end
    }
}

/// Why the member has to be replaced.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stall {
    #[error("the member did not poll for {0:?}: its partitions may be others' by now")]
    Silent(Duration),
    #[error("partition {} of {} has letters, and none came for {PATIENCE:?}", .0.number, .0.topic)]
    Starved(Partition),
}

/// What the member has noticed of itself.
#[derive(Debug)]
pub(crate) struct Watchdog {
    silence_max: Duration,
    polled_at: Instant,
    /// Where each partition is that has letters to bring, and since when.
    waits: BTreeMap<Partition, (Fetched, Instant)>,
}

impl Watchdog {
    /// For a member that may be silent for so long, and polls now.
    pub fn new(silence_max: Duration, now: Instant) -> Self {
        Self { silence_max, polled_at: now, waits: BTreeMap::new() }
    }

    /// The member polls.
    pub fn polls(&mut self, now: Instant) -> Result<(), Stall> {
        let silence = now.duration_since(self.polled_at);
        self.polled_at = now;
        if silence < self.silence_max { Ok(()) } else { Err(Stall::Silent(silence)) }
    }

    /// The partitions that the member has room for, as librdkafka told of them last. Those that are not among them are
    /// looked at anew when they are again.
    pub fn look(&mut self, partitions: &BTreeMap<Partition, Fetched>, now: Instant) -> Result<(), Stall> {
        self.waits.retain(|partition, (seen, _)| partitions.get(partition) == Some(seen));
        for (&partition, &fetched) in partitions.iter().filter(|(_, fetched)| fetched.has_more()) {
            let (_, since) = self.waits.entry(partition).or_insert((fetched, now));
            if now.duration_since(*since) >= PATIENCE {
                return Err(Stall::Starved(partition));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTITION: Partition = Partition { topic: "orders", number: 3 };

    fn at(next: i64, end: i64, ready: i64) -> BTreeMap<Partition, Fetched> {
        BTreeMap::from([(PARTITION, Fetched { next, end, ready })])
    }

    #[test]
    fn a_member_that_was_silent_for_too_long_is_replaced() {
        let now = Instant::now();
        let mut watchdog = Watchdog::new(Duration::from_mins(5), now);
        assert_eq!(watchdog.polls(now + Duration::from_secs(299)), Ok(()));
        assert_eq!(watchdog.polls(now + Duration::from_secs(598)), Ok(()));
        let silence = Duration::from_mins(5);
        assert_eq!(watchdog.polls(now + Duration::from_secs(898)), Err(Stall::Silent(silence)));
    }

    #[test]
    fn a_member_whose_letters_do_not_come_is_replaced() {
        let now = Instant::now();
        for partitions in [at(5, 9, 0), at(9, 9, 4)] {
            let mut watchdog = Watchdog::new(PATIENCE, now);
            assert_eq!(watchdog.look(&partitions, now), Ok(()));
            assert_eq!(watchdog.look(&partitions, now + PATIENCE / 2), Ok(()));
            assert_eq!(watchdog.look(&partitions, now + PATIENCE), Err(Stall::Starved(PARTITION)));
        }
    }

    #[test]
    fn whoever_gets_on_or_has_nothing_to_get_is_left_alone() {
        let now = Instant::now();
        let mut watchdog = Watchdog::new(PATIENCE, now);
        for minute in 0..5 {
            let now = now + PATIENCE * minute;
            assert_eq!(watchdog.look(&at(i64::from(minute), 9, 0), now), Ok(()), "it goes on");
        }
        for minute in 5..10 {
            assert_eq!(watchdog.look(&at(9, 9, 0), now + PATIENCE * minute), Ok(()), "it is at the end");
        }
        assert_eq!(watchdog.look(&at(9, 12, 0), now + PATIENCE * 10), Ok(()), "more has come just now");
        assert_eq!(watchdog.look(&BTreeMap::new(), now + PATIENCE * 11), Ok(()), "it has no room");
        assert_eq!(watchdog.look(&at(9, 12, 0), now + PATIENCE * 12), Ok(()), "it has room again");
    }
}
