//! What the stories of a run have reached: rules that were never tried prove nothing.

use std::{collections::BTreeMap, fmt};

/// How often something was reached.
#[derive(Debug, Default)]
pub struct Tally {
    stories: u32,
    steps: u32,
    reached: BTreeMap<String, u32>,
}

impl Tally {
    /// A story was played.
    pub fn story(&mut self) {
        self.stories += 1;
    }

    /// A step was played.
    pub fn step(&mut self) {
        self.steps += 1;
    }

    /// Something was reached.
    pub fn count(&mut self, what: String) {
        *self.reached.entry(what).or_default() += 1;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} stories, {} steps", self.stories, self.steps)?;
        self.reached.iter().try_for_each(|(what, times)| write!(f, "\n{times:6} × {what}"))
    }
}
