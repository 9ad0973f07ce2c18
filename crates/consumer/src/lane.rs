//! A partition, as the member that has it sees it.

use std::{collections::VecDeque, sync::Arc};

use crate::{backoff::Pause, letter::Letter};

/// What is known of a partition, and the letters that wait for the next batch.
#[derive(Debug)]
pub(crate) struct Lane {
    /// The group's position, as the database had it last.
    pub next: i64,
    /// The position that lag tools know.
    pub committed: i64,
    /// Letters in their order, to be done from `next` on.
    pub queue: VecDeque<Arc<Letter>>,
    /// The first letter of the batch that runs.
    pub in_hand: Option<Arc<Letter>>,
    /// Set while nothing can be done with the first letter.
    pub stopped: Option<Pause>,
    /// Set until the position was read again; letters that come meanwhile are from the wrong place.
    pub is_rewinding: bool,
    /// The offset that should come next; `None` at the beginning, which may have any.
    expected: Option<i64>,
    /// The offset that came in its place, before the expected one was asked for again.
    doubted: Option<i64>,
}

/// What to do about a letter that has come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    Queued,
    /// It does not follow the one before. Ask for this offset again: then what comes is the truth.
    Doubted {
        expected: i64,
    },
    /// It does not follow the one before, and there is nothing in between: letters are gone, or the topic is another.
    QueuedAfterGap {
        expected: i64,
    },
    /// It comes from a place that was left.
    Dropped,
}

impl Lane {
    pub fn new(next: i64) -> Self {
        Self {
            next,
            committed: next,
            queue: VecDeque::new(),
            in_hand: None,
            stopped: None,
            is_rewinding: false,
            expected: (next > 0).then_some(next),
            doubted: None,
        }
    }

    /// Starts anew from the position that the database has.
    pub fn rewind(&mut self, next: i64) {
        *self = Self { committed: self.committed, ..Self::new(next) };
    }

    /// Takes a letter in. A jump in the offsets is not believed the first time: a seek that failed silently would
    /// otherwise pass for letters that retention has deleted, and they would be skipped.
    pub fn accept(&mut self, letter: Letter) -> Arrival {
        if self.is_rewinding {
            return Arrival::Dropped;
        }
        let offset = letter.offset;
        let gap = self.expected.filter(|&expected| expected != offset);
        if let Some(expected) = gap
            && self.doubted != Some(offset)
        {
            self.doubted = Some(offset);
            return Arrival::Doubted { expected };
        }
        self.doubted = None;
        self.expected = Some(offset + 1);
        self.queue.push_back(Arc::new(letter));
        gap.map_or(Arrival::Queued, |expected| Arrival::QueuedAfterGap { expected })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(offset: i64) -> Letter {
        Letter::new(offset, None, [], None)
    }

    #[test]
    fn a_new_group_starts_at_whatever_is_oldest() {
        let mut lane = Lane::new(0);
        assert_eq!(lane.accept(letter(17)), Arrival::Queued);
        assert_eq!(lane.accept(letter(18)), Arrival::Queued);
    }

    #[test]
    fn a_jump_is_believed_only_when_it_comes_again() {
        let mut lane = Lane::new(5);
        assert_eq!(lane.accept(letter(9)), Arrival::Doubted { expected: 5 });
        assert_eq!(lane.accept(letter(5)), Arrival::Queued);
        assert_eq!(lane.accept(letter(9)), Arrival::Doubted { expected: 6 });
        assert_eq!(lane.accept(letter(9)), Arrival::QueuedAfterGap { expected: 6 });
        assert_eq!(lane.accept(letter(10)), Arrival::Queued);
        assert_eq!(lane.queue.len(), 3);
    }

    #[test]
    fn a_topic_that_was_made_anew_is_read_from_its_start() {
        let mut lane = Lane::new(1000);
        assert_eq!(lane.accept(letter(0)), Arrival::Doubted { expected: 1000 });
        assert_eq!(lane.accept(letter(0)), Arrival::QueuedAfterGap { expected: 1000 });
        assert_eq!(lane.accept(letter(1)), Arrival::Queued);
    }

    #[test]
    fn letters_that_come_before_the_position_is_known_are_dropped() {
        let mut lane = Lane::new(5);
        lane.is_rewinding = true;
        assert_eq!(lane.accept(letter(5)), Arrival::Dropped);
        lane.rewind(7);
        assert_eq!(lane.accept(letter(7)), Arrival::Queued);
    }
}
