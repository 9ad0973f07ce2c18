//! Which letters need no more attention.

use std::collections::BTreeMap;

use sqlx::PgConnection;

/// The leader's own record of what is published. It is the only writer, so the row in the database
/// (`outbox_progress`) is a checkpoint of this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Every id up to here is done with: published, or never to appear.
    floor: i64,
    /// The published ids above the floor, as start → end, both inclusive; ranges neither overlap nor touch.
    published: BTreeMap<i64, i64>,
}

impl Progress {
    /// The record as the row tells it: the floor, and the ranges above it (both ends inclusive).
    pub fn new(floor: i64, ranges: impl IntoIterator<Item = (i64, i64)>) -> Self {
        Self { floor, published: ranges.into_iter().collect() }
    }

    /// The checkpoint in the database, which may be a moment behind the leader's own record.
    pub async fn read(connection: &mut PgConnection) -> Result<Self, sqlx::Error> {
        let (floor, starts, ends): (i64, Vec<i64>, Vec<i64>) = sqlx::query_as(
            "SELECT floor,
                 ARRAY(SELECT lower(range) FROM unnest(published) AS range ORDER BY 1),
                 ARRAY(SELECT upper(range) - 1 FROM unnest(published) AS range ORDER BY 1)
             FROM outbox_progress",
        )
        .fetch_one(connection)
        .await?;
        Ok(Self::new(floor, starts.into_iter().zip(ends)))
    }

    pub fn floor(&self) -> i64 {
        self.floor
    }

    /// The published ranges above the floor, both ends inclusive, ascending.
    pub fn published(&self) -> impl Iterator<Item = (i64, i64)> {
        self.published.iter().map(|(&start, &end)| (start, end))
    }

    /// Where letters may still appear, both ends inclusive, ascending: between the published ranges and after the
    /// last.
    pub fn gaps(&self) -> impl Iterator<Item = (i64, i64)> {
        let starts = std::iter::once(self.floor).chain(self.published.values().copied()).map(|end| end + 1);
        let ends = self.published.keys().map(|start| start - 1).chain(std::iter::once(i64::MAX));
        starts.zip(ends)
    }

    /// Notes that the letter `id` is published.
    pub fn insert(&mut self, id: i64) {
        let before = self.published.range(..=id).next_back().map(|(&start, &end)| (start, end));
        if id <= self.floor || before.is_some_and(|(_, end)| id <= end) {
            return;
        }
        let start = before.filter(|&(_, end)| end == id - 1).map_or(id, |(start, _)| start);
        let end = self.published.remove(&(id + 1)).unwrap_or(id);
        self.published.insert(start, end);
        self.advance();
    }

    /// Notes that no letter will appear in the gaps below `id`.
    pub fn pass_gaps_below(&mut self, id: i64) {
        if id > self.floor {
            let above = self.published.split_off(&id);
            // a range that begins below `id` and reaches beyond it is done with as a whole
            let end = self.published.last_key_value().map_or(0, |(_, &end)| end);
            self.floor = end.max(id - 1);
            self.published = above;
            self.advance();
        }
    }

    fn advance(&mut self) {
        while let Some(end) = self.published.remove(&(self.floor + 1)) {
            self.floor = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(floor: i64, ids: &[i64]) -> Progress {
        let mut progress = Progress::new(floor, []);
        for &id in ids {
            progress.insert(id);
        }
        progress
    }

    #[test]
    fn the_floor_rises_over_contiguous_ids_in_any_order() {
        for order in [[1, 2, 3], [3, 2, 1], [2, 1, 3], [2, 3, 1]] {
            assert_eq!(after(0, &order), Progress::new(3, []));
        }
    }

    #[test]
    fn an_unseen_id_holds_the_floor_and_stays_a_gap() {
        let progress = after(10, &[11, 13, 14, 17]);
        assert_eq!(progress, Progress::new(11, [(13, 14), (17, 17)]));
        assert_eq!(progress.gaps().collect::<Vec<_>>(), [(12, 12), (15, 16), (18, i64::MAX)]);
    }

    #[test]
    fn an_id_noted_twice_changes_nothing() {
        assert_eq!(after(0, &[1, 3, 4, 3, 4, 1]), Progress::new(1, [(3, 4)]));
    }

    #[test]
    fn ranges_that_come_to_touch_become_one() {
        assert_eq!(after(0, &[3, 5, 4]), Progress::new(0, [(3, 5)]));
    }

    #[test]
    fn passing_gaps_takes_the_floor_to_the_end_of_what_is_published_there() {
        let passed = |id| {
            let mut progress = Progress::new(0, [(3, 4), (7, 9)]);
            progress.pass_gaps_below(id);
            progress
        };
        assert_eq!(passed(0), Progress::new(0, [(3, 4), (7, 9)]));
        assert_eq!(passed(2), Progress::new(1, [(3, 4), (7, 9)]));
        assert_eq!(passed(3), Progress::new(4, [(7, 9)]));
        assert_eq!(passed(4), Progress::new(4, [(7, 9)]));
        assert_eq!(passed(7), Progress::new(9, []));
        assert_eq!(passed(8), Progress::new(9, []));
        assert_eq!(passed(12), Progress::new(11, []));
    }
}
