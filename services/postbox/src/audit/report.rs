//! What an audit tells: a row for each promise, for people and for programs.

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use super::look::Findings;

/// Violations of a promise that are listed. All are counted.
const LISTED_MAX: usize = 20;

/// One promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    pub number: usize,
    pub promise: &'static str,
    /// How many things were looked at; 0: nothing, see the note.
    pub checked: u64,
    pub violations: usize,
    /// What else the reader should know.
    pub note: Option<String>,
    /// The first violations: what each is about, and what differs.
    pub found: Vec<String>,
}

/// All rows, in the order of the promises.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub items: Vec<Row>,
}

impl Report {
    /// Of what remains suspect, which is then wrong.
    pub fn of(findings: &Findings) -> Self {
        let row = |(promise, finding): (&super::promises::Promise, &super::finding::Finding)| Row {
            number: promise.number(),
            promise: promise.words(),
            checked: finding.checked,
            violations: finding.suspected(),
            note: finding.note.clone(),
            found: finding
                .suspects()
                .take(LISTED_MAX)
                .map(|(subject, suspect)| format!("{subject}: {}", suspect.differs))
                .collect(),
        };
        Self { items: findings.iter().map(row).collect() }
    }

    /// The numbers of the promises that are broken.
    pub fn broken(&self) -> Vec<String> {
        self.items.iter().filter(|row| row.violations > 0).map(|row| row.number.to_string()).collect()
    }

    /// The table, and below it the notes and each violation.
    pub fn print(&self) {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(["", "promise", "checked", "violations"]);
        for row in &self.items {
            table.add_row([
                row.number.to_string(),
                row.promise.to_owned(),
                row.checked.to_string(),
                row.violations.to_string(),
            ]);
        }
        for column in [0, 2, 3] {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        println!("{table}");
        for row in &self.items {
            if let Some(note) = &row.note {
                println!("{:>2}  {note}", row.number);
            }
            for line in row.lines() {
                println!("{line}");
            }
        }
    }
}

impl Row {
    /// A line for each listed violation.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let more = self.violations - self.found.len();
        let more = (more > 0).then(|| format!("{:>2}  … and {more} more", self.number));
        self.found.iter().map(|found| format!("{:>2}  VIOLATION {found}", self.number)).chain(more)
    }
}
