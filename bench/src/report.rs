//! What was measured, in a file: `figures.json`, from which the page is made.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::{
    figure::{Figure, Figures},
    run::Run,
};

/// The last run of each part.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    runs: Vec<Run>,
}

impl Report {
    /// Reads one; of a file that is not there: an empty one.
    pub fn read(file: &Path) -> Result<Self> {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error).with_context(|| format!("{} cannot be read", file.display())),
        };
        serde_json::from_str(&text).with_context(|| format!("{} holds no figures of `bench`", file.display()))
    }

    /// As text, for [`Report::read`]. A line for each figure: what a run has changed can be read in a diff.
    pub fn to_json(&self) -> String {
        let runs: Vec<String> = self.runs.iter().map(to_lines).collect();
        format!("{{\"runs\": [\n{}\n]}}\n", runs.join(",\n"))
    }

    /// Adds a run, in the place of an earlier one of the same part.
    pub fn put(&mut self, run: Run) {
        match self.runs.iter_mut().find(|earlier| earlier.part == run.part) {
            Some(earlier) => *earlier = run,
            None => self.runs.push(run),
        }
    }

    /// Adds all runs of another report.
    pub fn put_all(&mut self, other: Self) {
        other.runs.into_iter().for_each(|run| self.put(run));
    }

    /// All of them.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The run of a part.
    pub fn run(&self, part: &str) -> Option<&Run> {
        self.runs.iter().find(|run| run.part == part)
    }

    /// A figure, whatever part it is of.
    pub fn figure(&self, name: &str) -> Option<&Figure> {
        self.runs.iter().find_map(|run| run.figures.get(name))
    }

    /// Every figure, with what stands between `before` and `after` in its name.
    pub fn between<'a>(&'a self, before: &'a str, after: &'a str) -> impl Iterator<Item = (&'a str, &'a Figure)> {
        self.runs.iter().flat_map(|run| run.figures.iter()).filter_map(move |figure| {
            let between = figure.name().strip_prefix(before)?.strip_suffix(after)?;
            Some((between, figure))
        })
    }

    /// A table for each run.
    pub fn to_tables(&self) -> String {
        let tables: Vec<String> = self.runs.iter().map(|run| run.figures.to_table()).collect();
        tables.join("\n\n")
    }
}

fn to_lines(run: &Run) -> String {
    let head = Run { figures: Figures::default(), ..run.clone() };
    let head = serde_json::to_string(&head).expect("names and numbers");
    // the figures are the last field, and there are none
    let head = head.strip_suffix("[]}").expect("a list at the end");
    let figures: Vec<String> =
        run.figures.iter().map(|figure| serde_json::to_string(figure).expect("names and numbers")).collect();
    format!("{head}[\n{}\n]}}", figures.join(",\n"))
}
