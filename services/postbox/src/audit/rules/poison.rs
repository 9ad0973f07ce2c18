//! 11: a poison letter neither blocks others nor vanishes.

use std::collections::BTreeMap;

use super::{Desk, Finding};
use crate::audit::dead_letters::Copy;
use crate::audit::outboxes;

/// How late a copy or another try may be.
const LATE_SECONDS_MAX: i64 = 30;

/// What is no letter lies parked with every group that has passed it, or its copy tells that it did; dead letters have their
/// copies and copies are of letters that were passed; what is parked is tried again; and every group goes on.
pub fn parked_and_passed(
    desk: &Desk,
    unreadable: &[(u8, i32, i64)],
    ends: &BTreeMap<(u8, i32), i64>,
    finding: &mut Finding,
) {
    set_aside(desk, unreadable, finding);
    copied(desk, finding);
    goes_on(desk, ends, finding);
}

fn set_aside(desk: &Desk, unreadable: &[(u8, i32, i64)], finding: &mut Finding) {
    for &(topic, partition, offset) in unreadable {
        let passed_by = desk
            .marks
            .positions
            .iter()
            .filter(|((_, at, number), next)| (*at, *number) == (topic, partition) && offset < **next);
        for ((group, ..), _) in passed_by {
            finding.checked += 1;
            if !desk.marks.is_refused_by(group, topic, partition, offset) {
                let subject = format!("{}/{partition}/{offset} and {group}", outboxes::name(topic));
                finding.suspect(None, subject, "is no letter, was passed, and is neither parked nor dead".to_owned());
            }
        }
    }
}

fn copied(desk: &Desk, finding: &mut Finding) {
    for letter in &desk.marks.parked {
        finding.checked += 1;
        let subject = format!(
            "letter {} of {}, {}/{}/{}",
            letter.id, letter.group, letter.topic, letter.partition, letter.offset
        );
        let copy = Copy {
            group: letter.group.clone(),
            topic: letter.topic.clone(),
            partition: letter.partition,
            offset: letter.offset,
        };
        if letter.copy_late_seconds.is_some_and(|seconds| seconds > LATE_SECONDS_MAX) {
            finding.suspect(None, subject, "is dead, and nobody sends its copy".to_owned());
        } else if letter.is_dead && letter.copy_late_seconds.is_none() && !desk.marks.copies.contains(&copy) {
            finding.suspect(None, subject, "is dead and counts as copied, and the copy is not there".to_owned());
        } else if let Some(seconds) = letter.retry_late_seconds.filter(|&seconds| seconds > LATE_SECONDS_MAX) {
            finding.suspect(None, subject, format!("should have been tried again {seconds} s ago"));
        }
    }
    for Copy { group, topic, partition, offset } in &desk.marks.copies {
        finding.checked += 1;
        let place = outboxes::place(topic);
        let next = place.and_then(|place| desk.marks.positions.get(&(group.clone(), place, *partition)));
        if next.is_none_or(|next| next <= offset) {
            let subject = format!("copy of {topic}/{partition}/{offset} for {group}");
            finding.suspect(None, subject, "is of a letter that the group has not come to".to_owned());
        }
    }
}

/// A group that has letters before it is suspect at this offset. When it is looked at again it has another one, or it stands
/// still.
fn goes_on(desk: &Desk, ends: &BTreeMap<(u8, i32), i64>, finding: &mut Finding) {
    for ((group, topic, partition), next) in &desk.marks.positions {
        finding.checked += 1;
        let end = ends.get(&(*topic, *partition)).copied().unwrap_or_default();
        if *next < end {
            let subject = format!("{group} at {}/{partition}/{next}", outboxes::name(*topic));
            finding.suspect(None, subject, format!("stands still, {} letters before the end", end - next));
        }
    }
}
