//! What came of each strike, as lines of text and as a table in a document.

use std::{fmt::Write, path::Path, time::Duration};

/// What is above this line in the document was written by hand and stays.
pub const MARKER: &str = "<!-- measured: the lines below are written by `make chaos` -->";

/// One strike.
#[derive(Debug, Clone, Default)]
pub struct Line {
    /// What was done.
    pub fault: String,
    /// Violations of the promises that nothing committed or acknowledged is lost.
    pub lost: u64,
    /// Violations of the promises that nothing is there twice.
    pub doubled: u64,
    /// Promises that are not kept, of the sixteen.
    pub broken: u64,
    /// From the end of the fault until customers were answered as before.
    pub recovery: Option<Duration>,
    /// The share of attempts that were in vain, from the fault's beginning until then.
    pub error_share: f64,
    /// Before the fault.
    pub usual_p99_ms: f64,
    /// From the fault's beginning until recovery.
    pub p99_ms: Option<f64>,
    /// What was measured besides.
    pub figure: String,
    /// Whether all was as promised.
    pub verdict: Verdict,
}

/// Whether all was as promised: no complaint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    complaints: Vec<String>,
}

impl Verdict {
    /// Something was not as promised.
    pub fn complain(&mut self, complaint: String) {
        self.complaints.push(complaint);
    }

    /// No complaint.
    pub fn is_good(&self) -> bool {
        self.complaints.is_empty()
    }

    fn in_words(&self) -> String {
        if self.is_good() { "kept".to_owned() } else { self.complaints.join("; ") }
    }
}

impl Line {
    /// A row that could not be played.
    pub fn skipped(fault: &str, why: &str) -> Self {
        Self { fault: fault.to_owned(), figure: format!("skipped: {why}"), ..Self::default() }
    }

    /// A row that ended before its strikes.
    pub fn failed(fault: &str, why: String) -> Self {
        let mut line = Self { fault: fault.to_owned(), ..Self::default() };
        line.verdict.complain(why);
        line
    }

    /// For whoever watches.
    pub fn in_short(&self) -> String {
        let recovery = self.recovery_in_words();
        let (share, p99) = (percent(self.error_share), milliseconds(self.p99_ms));
        let figure = if self.figure.is_empty() { String::new() } else { format!(", {}", self.figure) };
        let verdict = self.verdict.in_words();
        format!("{}: recovery {recovery}, errors {share}, p99 {p99}{figure}: {verdict}", self.fault)
    }

    fn recovery_in_words(&self) -> String {
        self.recovery.map_or_else(|| "–".to_owned(), |recovery| format!("{:.1} s", recovery.as_secs_f64()))
    }

    fn in_table(&self) -> String {
        let usual = milliseconds(Some(self.usual_p99_ms).filter(|usual| *usual > 0.0));
        format!(
            "| {} | {} | {} | {} | {} | {} | {usual} | {} | {} | {} |",
            self.fault,
            self.lost,
            self.doubled,
            self.broken,
            self.recovery_in_words(),
            percent(self.error_share),
            milliseconds(self.p99_ms),
            self.figure,
            self.verdict.in_words(),
        )
    }
}

/// All lines as a Markdown table.
pub fn table(lines: &[Line]) -> String {
    let mut text = String::new();
    text.push_str(
        "| fault | lost | doubled | broken | recovery | error share | p99 before | p99 during | measured | promise |\n",
    );
    text.push_str("|---|---|---|---|---|---|---|---|---|---|\n");
    for line in lines {
        writeln!(text, "{}", line.in_table()).expect("writing to a string cannot fail");
    }
    text
}

/// Puts the table into a document, below what was written by hand. Where only some rows were played, the others keep what is
/// told of them.
pub fn write(document: &Path, lines: &[Line], is_whole: bool) -> std::io::Result<()> {
    let text = std::fs::read_to_string(document)?;
    let (by_hand, before) = text.split_once(MARKER).unwrap_or((&text, ""));
    let told = if is_whole { table(lines) } else { update(before, lines) };
    std::fs::write(document, format!("{by_hand}{MARKER}\n\n{told}"))
}

/// The table with these lines in the places of those that tell of the same faults, or at its end.
fn update(before: &str, lines: &[Line]) -> String {
    let fault = |row: &str| row.split('|').nth(1).map(|cell| cell.trim().to_owned());
    let mut rows: Vec<String> = before.lines().filter(|row| row.starts_with("| ")).skip(1).map(str::to_owned).collect();
    for line in lines {
        match rows.iter_mut().find(|row| fault(row).as_ref() == Some(&line.fault)) {
            Some(row) => *row = line.in_table(),
            None => rows.push(line.in_table()),
        }
    }
    rows.iter().fold(table(&[]), |text, row| text + row + "\n")
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn milliseconds(latency: Option<f64>) -> String {
    latency.map_or_else(|| "–".to_owned(), |latency| format!("{latency:.0} ms"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_keeps_what_was_written_by_hand_and_gets_the_new_figures() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let document = folder.path().join("reliability.md");
        std::fs::write(&document, format!("# By hand\n{MARKER}\nold figures\n")).expect("it is writable");
        let lines = [Line { fault: "kill -9 order".to_owned(), ..Line::default() }];
        write(&document, &lines, true).expect("it is writable");
        write(&document, &lines, true).expect("it is writable");
        let text = std::fs::read_to_string(&document).expect("it is readable");
        assert!(text.starts_with("# By hand\n"), "{text}");
        assert!(!text.contains("old figures"), "{text}");
        assert_eq!(text.matches("| kill -9 order | 0 | 0 | 0 |").count(), 1, "{text}");
    }

    #[test]
    fn where_some_rows_were_played_the_others_stay() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let document = folder.path().join("reliability.md");
        std::fs::write(&document, format!("# By hand\n{MARKER}\n")).expect("it is writable");
        let line = |fault: &str, lost| Line { fault: fault.to_owned(), lost, ..Line::default() };
        write(&document, &[line("one", 0), line("two", 0)], true).expect("it is writable");
        write(&document, &[line("three", 3), line("one", 1)], false).expect("it is writable");
        let text = std::fs::read_to_string(&document).expect("it is readable");
        let told: Vec<&str> = text.lines().filter(|row| row.starts_with("| ")).skip(1).map(|row| &row[..12]).collect();
        assert_eq!(told, ["| one | 1 | ", "| two | 0 | ", "| three | 3 "], "{text}");
        assert!(text.starts_with("# By hand\n"), "{text}");
    }

    #[test]
    fn a_complaint_is_told_where_the_promise_stands() {
        let line = Line::failed("kill -9 order", "2 orders are lost".to_owned());
        assert!(!line.verdict.is_good());
        assert!(line.in_table().ends_with("| 2 orders are lost |"), "{}", line.in_table());
    }
}
