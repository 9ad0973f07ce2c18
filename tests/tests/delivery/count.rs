//! What was promised, and what came of it.

use std::collections::BTreeSet;

/// A row of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Who sent or read, and how.
    pub who: &'static str,
    /// What was done to it.
    pub moment: &'static str,
    /// The figures, in the order of the table's columns.
    pub figures: Vec<usize>,
}

/// Letters that a sender gave away, and how many of them it was told are safe; and what a reader then finds.
pub fn sent(who: &'static str, moment: &'static str, sent: usize, acknowledged: &[String], found: &[String]) -> Row {
    let (lost, doubled) = compare(acknowledged, found);
    Row { who, moment, figures: vec![sent, acknowledged.len(), found.len(), lost, doubled] }
}

/// Letters that there were, and the effects that were made.
pub fn done(who: &'static str, moment: &'static str, letters: &[String], effects: &[String]) -> Row {
    let (lost, doubled) = compare(letters, effects);
    Row { who, moment, figures: vec![letters.len(), effects.len(), lost, doubled] }
}

/// How many are missing, and how many are there once more.
fn compare(expected: &[String], found: &[String]) -> (usize, usize) {
    let different: BTreeSet<&String> = found.iter().collect();
    let lost = expected.iter().filter(|letter| !different.contains(letter)).count();
    (lost, found.len() - different.len())
}

#[test]
fn what_is_missing_is_lost_and_what_is_there_again_is_doubled() {
    let letters = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(done("", "", &letters("a b c"), &letters("a a c c c")).figures, [3, 5, 1, 3]);
    assert_eq!(sent("", "", 4, &letters("a b"), &letters("a b c")).figures, [4, 2, 3, 0, 0]);
}
