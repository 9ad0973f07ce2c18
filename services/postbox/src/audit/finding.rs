//! What a check found: how much it has looked at, and what looks wrong.

use std::collections::BTreeMap;

use uuid::Uuid;

/// Suspects of one promise that are kept. Beyond them the promise is broken so badly that nobody reads the rest.
pub const SUSPECTS_MAX: usize = 100_000;

/// Something that looks wrong. It may only be under way: the databases are read one after another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspect {
    /// The order (or account) that it belongs to; none when it belongs to no single one.
    pub case: Option<Uuid>,
    /// What differs.
    pub differs: String,
}

/// What one look at one promise found.
#[derive(Debug, Default)]
pub struct Finding {
    /// How many things were looked at; what they are depends on the promise.
    pub checked: u64,
    /// What the reader should know about this look.
    pub note: Option<String>,
    /// By what they are about.
    suspects: BTreeMap<String, Suspect>,
}

impl Finding {
    /// One more thing was looked at, and must be as it should: else `subject` is suspect, because of what `differs` says.
    pub fn check(
        &mut self,
        case: Uuid,
        is_right: bool,
        subject: impl FnOnce() -> String,
        differs: impl FnOnce() -> String,
    ) {
        self.checked += 1;
        if !is_right {
            self.suspect(Some(case), subject(), differs());
        }
    }

    /// Notes a suspect; of two about the same thing the first stays.
    pub fn suspect(&mut self, case: Option<Uuid>, subject: String, differs: String) {
        if self.suspects.len() < SUSPECTS_MAX {
            self.suspects.entry(subject).or_insert(Suspect { case, differs });
        }
    }

    /// What looks wrong, by what it is about.
    pub fn suspects(&self) -> impl Iterator<Item = (&str, &Suspect)> {
        self.suspects.iter().map(|(subject, suspect)| (subject.as_str(), suspect))
    }

    /// How much looks wrong.
    pub fn suspected(&self) -> usize {
        self.suspects.len()
    }

    /// Drops the suspects that a later look found right, and takes over what it says of the others.
    pub fn keep_what_remains(&mut self, later: &Self) {
        self.suspects.retain(|subject, suspect| match later.suspects.get(subject) {
            Some(still) => {
                suspect.clone_from(still);
                true
            }
            None => false,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suspect_that_is_right_later_is_none_and_a_new_one_waits_for_the_next_audit() {
        let (mut first, mut later) = (Finding::default(), Finding::default());
        for subject in ["a", "b"] {
            first.suspect(None, subject.to_owned(), "then".to_owned());
        }
        for subject in ["b", "c"] {
            later.suspect(None, subject.to_owned(), "now".to_owned());
        }
        first.keep_what_remains(&later);
        let left: Vec<_> = first.suspects().map(|(subject, suspect)| (subject, suspect.differs.as_str())).collect();
        assert_eq!(left, [("b", "now")]);
    }
}
