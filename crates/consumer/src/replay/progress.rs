//! Telling whoever waits how far a replay is: lines on standard output, for people or as JSON.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use serde::Serialize;

/// How often the number of letters is told.
const TOLD_EVERY: Duration = Duration::from_millis(500);

/// What is told. In JSON the variant is the field `step`.
#[derive(Debug, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub(crate) enum Line<'a> {
    /// It begins.
    Begun { group: &'a str, kind: &'a str, letters: i64 },
    /// Something that the operator should know.
    Note { text: &'a str },
    /// So many letters are done; `letters` grows while the group goes on.
    Reading { done: i64, letters: i64, letters_per_second: i64 },
    /// The handler refuses a letter.
    Refused { topic: &'a str, partition: i32, offset: i64, error: &'a str },
    /// The end. `refused` letters are parked, or with an effect left out, and `waiting` are later letters of their keys.
    Done { letters: i64, seconds: f64, letters_per_second: i64, refused: i64, waiting: i64 },
    /// It came to nothing.
    Failed { error: &'a str },
}

/// Prints lines.
#[derive(Debug)]
pub(crate) struct Progress {
    json: bool,
    began: Instant,
    told: Instant,
}

impl Progress {
    pub fn new(json: bool) -> Self {
        Self { json, began: Instant::now(), told: Instant::now() }
    }

    /// So many letters are done. Told now and then.
    pub fn reading(&mut self, done: i64, letters: i64) {
        if self.told.elapsed() >= TOLD_EVERY {
            self.told = Instant::now();
            self.tell(&Line::Reading { done, letters, letters_per_second: self.rate(done) });
        }
    }

    /// All is done.
    pub fn done(&self, letters: i64, refused: i64, waiting: i64) {
        let seconds = self.began.elapsed().as_secs_f64();
        self.tell(&Line::Done { letters, seconds, letters_per_second: self.rate(letters), refused, waiting });
    }

    pub fn tell(&self, line: &Line<'_>) {
        let text = if self.json { serde_json::to_string(line).expect("a line is plain data") } else { plain(line) };
        // nobody may be listening any more
        let _ = writeln!(std::io::stdout(), "{text}");
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "nobody replays 2^52 letters")]
    fn rate(&self, letters: i64) -> i64 {
        (letters as f64 / self.began.elapsed().as_secs_f64().max(0.001)) as i64
    }
}

fn plain(line: &Line<'_>) -> String {
    match line {
        Line::Begun { group, kind, letters } => format!("replaying {group} ({kind}): {letters} letters so far"),
        Line::Note { text } => (*text).to_owned(),
        Line::Reading { done, letters, letters_per_second } => {
            format!("{done} of {letters} letters, {letters_per_second}/s")
        }
        Line::Refused { topic, partition, offset, error } => {
            format!("refused: {topic}, partition {partition}, offset {offset}: {error}")
        }
        Line::Done { letters, seconds, letters_per_second, refused, waiting } => {
            let behind = if *refused == 0 {
                String::new()
            } else {
                format!("; {refused} refused, {waiting} waiting behind them")
            };
            format!("done: {letters} letters in {seconds:.1} s, {letters_per_second}/s{behind}")
        }
        Line::Failed { error } => format!("failed: {error}"),
    }
}
