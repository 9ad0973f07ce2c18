//! Telling the user how far long work has come: a spinner on a terminal, plain lines elsewhere, nothing for `--json`.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Work under way. All of it goes to standard error: standard output is for results.
#[derive(Debug, Clone)]
pub struct Progress {
    bar: ProgressBar,
    began: Instant,
    plain: bool,
}

impl Progress {
    /// Begins; `quiet` shows nothing.
    pub fn start(doing: &'static str, quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = if quiet || !terminal { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        bar.set_style(ProgressStyle::with_template("{spinner} {msg} {elapsed}").expect("the template is valid"));
        bar.set_message(doing);
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { bar, began: Instant::now(), plain: !quiet && !terminal }
    }

    /// A step is done.
    pub fn done(&self, step: &str) {
        let line = format!("{:6.1} s  {step}", self.began.elapsed().as_secs_f32());
        if self.plain {
            // nobody may be listening any more
            let _ = writeln!(std::io::stderr(), "{line}");
        } else {
            self.bar.println(line);
        }
    }

    /// Ends, and leaves the lines of the steps.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
