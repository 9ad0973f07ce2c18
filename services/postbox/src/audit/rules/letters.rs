//! 8, 9: events and changes. What the services committed into their outboxes, against what lies on the topics.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::{Case, Desk, Finding};
use crate::audit::case::Row;
use crate::audit::marks::letter as subject;
use crate::audit::outboxes::{self, ORDER_LETTERS, SHIPMENT_LETTERS};
use crate::audit::topics::seconds;

/// 8: what a relay says that it has published is on its topic, what is on a topic was committed, and an order's (and a
/// parcel's) version has its event.
pub fn changes_and_events(case: &Case, desk: &Desk, finding: &mut Finding) {
    let put: HashSet<Uuid> = case.letters.iter().map(|letter| letter.event_id).collect();
    for row in &case.rows {
        if row.inserted_at >= desk.since(row.topic) && desk.marks.is_published(row.topic, row.id) {
            finding.check(
                case.id,
                put.contains(&row.event_id),
                || subject(row.topic, row.event_id),
                || format!("of {}, sequence {}, is published and not on its topic", case.id, row.sequence),
            );
        }
    }
    let committed: HashMap<Uuid, &Row> = case.rows.iter().map(|row| (row.event_id, row)).collect();
    for letter in &case.letters {
        let was_dropped = seconds(letter.put_at_ms) < desk.marks.kept_since(letter.topic);
        // what a group has refused had no effect there; it is looked at as a poison letter
        if was_dropped || desk.marks.is_refused(letter.topic, letter.partition, letter.offset) {
            continue;
        }
        let is_right = committed
            .get(&letter.event_id)
            .is_some_and(|row| (row.topic, row.sequence) == (letter.topic, letter.sequence));
        finding.check(
            case.id,
            is_right,
            || subject(letter.topic, letter.event_id),
            || {
                let (partition, offset) = (letter.partition, letter.offset);
                format!("of {}, at {partition}/{offset}, was committed by nobody", case.id)
            },
        );
    }
    if let Some(order) = &case.order {
        version_has_its_event(case, desk, finding, ORDER_LETTERS, order.version, order.updated_at);
    }
    if let Some((version, updated_at)) = case.parcel.as_ref().and_then(|parcel| parcel.version.zip(parcel.updated_at)) {
        version_has_its_event(case, desk, finding, SHIPMENT_LETTERS, version, updated_at);
    }
}

fn version_has_its_event(case: &Case, desk: &Desk, finding: &mut Finding, topic: u8, version: i64, updated_at: f64) {
    if updated_at < desk.since(topic).max(desk.marks.kept_since(topic)) {
        return;
    }
    let newest = case.rows.iter().filter(|row| row.topic == topic).map(|row| row.sequence).max().unwrap_or_default();
    finding.check(
        case.id,
        newest == version,
        || format!("{} {}", outboxes::name(topic), case.id),
        || format!("is at version {version}, its newest event is {newest}"),
    );
}

/// 9: the first occurrences of an order's events on a topic have the numbers 1, 2, 3 and so on, on one partition.
pub fn published_in_order(case: &Case, desk: &Desk, finding: &mut Finding) {
    for topic in 0..u8::try_from(outboxes::OUTBOXES.len()).expect("a few") {
        // of a history that was cut, the first may have any number
        let mut last = (desk.since(topic) == 0.0).then_some(0);
        let mut partition = None;
        let mut seen = HashSet::new();
        let letters = case.letters.iter().filter(|letter| letter.topic == topic);
        for letter in letters.filter(|it| !desk.marks.is_refused(it.topic, it.partition, it.offset)) {
            let at_home = *partition.get_or_insert(letter.partition) == letter.partition;
            if !seen.insert(letter.event_id) {
                continue;
            }
            let is_next = last.is_none_or(|last| letter.sequence == last + 1);
            finding.check(
                case.id,
                is_next && at_home,
                || subject(topic, letter.event_id),
                || {
                    let (sequence, partition, offset) = (letter.sequence, letter.partition, letter.offset);
                    let after = last.map_or("another partition's".to_owned(), |last: i64| last.to_string());
                    format!("of {}, at {partition}/{offset}, has sequence {sequence} after {after}", case.id)
                },
            );
            last = Some(letter.sequence);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::case::{Kind, Letter};
    use crate::audit::marks::Marks;

    /// How many letters are out of order; each is its place, its name and its number.
    fn out_of_order(letters: &[(i32, u128, i64)], since: f64) -> usize {
        let letter = |(offset, &(partition, id, sequence)): (i64, &(i32, u128, i64))| Letter {
            topic: ORDER_LETTERS,
            partition,
            offset,
            event_id: Uuid::from_u128(id),
            sequence,
            kind: Kind::Other,
            put_at_ms: 0,
        };
        let case = Case { letters: (0..).zip(letters).map(letter).collect(), ..Case::default() };
        let desk = Desk { marks: Marks::default(), since: [(ORDER_LETTERS, since)].into() };
        let mut finding = Finding::default();
        published_in_order(&case, &desk, &mut finding);
        finding.suspected()
    }

    #[test]
    fn letters_that_come_again_are_in_order_by_their_first_occurrence() {
        assert_eq!(out_of_order(&[(0, 1, 1), (0, 2, 2), (0, 1, 1), (0, 2, 2), (0, 3, 3)], 0.0), 0);
    }

    #[test]
    fn a_gap_an_inversion_and_another_partition_are_found() {
        assert_eq!(out_of_order(&[(0, 1, 1), (0, 3, 3)], 0.0), 1);
        assert_eq!(out_of_order(&[(0, 2, 2), (0, 1, 1)], 0.0), 2);
        assert_eq!(out_of_order(&[(0, 1, 1), (5, 2, 2)], 0.0), 1);
    }

    #[test]
    fn of_a_history_that_is_cut_the_first_may_have_any_number() {
        assert_eq!(out_of_order(&[(0, 7, 7), (0, 8, 8)], 1.0), 0);
        assert_eq!(out_of_order(&[(0, 7, 7), (0, 9, 9)], 1.0), 1);
    }
}
