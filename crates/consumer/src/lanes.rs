//! The partitions that a member has.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{backoff::Pause, batch::Slice, group::Partition, lane::Lane, watchdog::Fetched};

/// The member's partitions.
#[derive(Debug, Default)]
pub(crate) struct Lanes(BTreeMap<Partition, Lane>);

impl Lanes {
    /// Adds partitions, at these positions.
    pub fn add(&mut self, positions: BTreeMap<Partition, i64>) {
        self.0.extend(positions.into_iter().map(|(partition, next)| (partition, Lane::new(next))));
    }

    pub fn remove(&mut self, partitions: &[Partition]) {
        self.0.retain(|partition, _| !partitions.contains(partition));
    }

    pub fn get_mut(&mut self, partition: Partition) -> Option<&mut Lane> {
        self.0.get_mut(&partition)
    }

    pub fn partitions(&self) -> Vec<Partition> {
        self.0.keys().copied().collect()
    }

    pub fn count_stopped(&self) -> usize {
        self.0.values().filter(|lane| lane.stopped.is_some()).count()
    }

    /// How many letters wait for the next batch. Those of stopped partitions do not count: they are paused, so each has no
    /// more than were in the batch that stopped it.
    pub fn count_waiting(&self) -> usize {
        self.0.values().filter(|lane| lane.stopped.is_none()).map(|lane| lane.queue.len()).sum()
    }

    /// Takes out the letters of the next batch: of a stopped partition whose pause is over, alone, so that it holds up no
    /// other; else of all that are not stopped.
    pub fn next_batch(&mut self) -> Vec<Slice> {
        let has_letters = |lane: &Lane| !lane.queue.is_empty();
        let is_due = |lane: &Lane| has_letters(lane) && lane.stopped.as_ref().is_some_and(Pause::is_over);
        let due = self.0.iter().find(|(_, lane)| is_due(lane)).map(|(&partition, _)| partition);
        self.0
            .iter_mut()
            .filter(|&(&partition, ref lane)| due.map_or(lane.stopped.is_none(), |due| due == partition))
            .filter(|(_, lane)| has_letters(lane))
            .map(|(&partition, lane)| {
                lane.in_hand = lane.queue.front().cloned();
                Slice { partition, from: lane.next, letters: lane.queue.drain(..).collect() }
            })
            .collect()
    }

    /// The partitions whose positions must be read again.
    pub fn rewinding(&self) -> Vec<Partition> {
        self.0.iter().filter(|(_, lane)| lane.is_rewinding).map(|(&partition, _)| partition).collect()
    }

    /// The positions that lag tools do not know yet, of these partitions.
    pub fn take_uncommitted(&mut self, partitions: &[Partition]) -> Vec<(Partition, i64)> {
        let mut uncommitted = Vec::new();
        for (&partition, lane) in &mut self.0 {
            if partitions.contains(&partition) && lane.committed != lane.next {
                lane.committed = lane.next;
                uncommitted.push((partition, lane.next));
            }
        }
        uncommitted
    }

    /// Those of these partitions whose letters should come: neither stopped, nor to be read from another place.
    pub fn expecting(&self, mut fetched: BTreeMap<Partition, Fetched>) -> BTreeMap<Partition, Fetched> {
        let expects = |lane: &Lane| lane.stopped.is_none() && !lane.is_rewinding;
        fetched.retain(|partition, _| self.0.get(partition).is_some_and(expects));
        fetched
    }

    /// The letters between the positions and the ends, of one topic.
    pub fn lag(&self, topic: &str, fetched: &BTreeMap<Partition, Fetched>) -> i64 {
        let of_topic = self.0.iter().filter(|(partition, _)| partition.topic == topic);
        of_topic.filter_map(|(partition, lane)| Some((fetched.get(partition)?.end - lane.next).max(0))).sum()
    }

    /// When the oldest letter of one topic that is here and not done was written, as it says itself.
    pub fn oldest(&self, topic: &str) -> Option<Timestamp> {
        let of_topic = self.0.iter().filter(|(partition, _)| partition.topic == topic);
        of_topic.filter_map(|(_, lane)| lane.in_hand.as_ref().or(lane.queue.front())?.time()).min()
    }
}
