//! The journal of a load: one line for each acknowledgement, so that others can check that none was forgotten.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::client::Finished;
use crate::failure::Failure;

/// One acknowledgement, as a line of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The Idempotency-Key.
    pub key: String,
    /// The customer's account.
    pub customer: String,
    /// The order that the answer named.
    pub order_id: String,
    /// The HTTP status of the answer.
    pub status: u16,
    /// When the answer was here.
    pub at: Timestamp,
    /// How long before that the order was due to leave, in microseconds.
    pub latency_us: u64,
    /// How often the request was sent.
    pub attempts: usize,
}

/// A journal that is being written.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// A new journal, in the place of an old one.
    pub fn create(path: &Path) -> Result<Self, Failure> {
        let file = File::create(path).map_err(Failure::io("create", path))?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Writes an order down that was acknowledged at `at`; nothing for one that was not. It is with the system when this
    /// returns: a load that is killed has lost none.
    pub fn write(&mut self, finished: &Finished, at: Timestamp) -> Result<(), Failure> {
        let Some(acknowledged) = &finished.acknowledged else { return Ok(()) };
        let entry = Entry {
            key: finished.key.clone(),
            customer: finished.customer.clone(),
            order_id: acknowledged.order_id.clone(),
            status: acknowledged.status.as_u16(),
            at,
            latency_us: u64::try_from((finished.ended - finished.due).as_micros()).unwrap_or(u64::MAX),
            attempts: finished.attempts.len(),
        };
        let mut line = serde_json::to_vec(&entry).expect("an entry is plain data");
        line.push(b'\n');
        // unbuffered, and in one piece
        self.file.write_all(&line).map_err(Failure::io("write", &self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::client::Acknowledged;
    use reqwest::StatusCode;
    use tokio::time::Instant;

    fn finished(acknowledged: Option<Acknowledged>) -> Finished {
        let now = Instant::now();
        Finished {
            customer: "a".to_owned(),
            key: "k".to_owned(),
            due: now,
            ended: now,
            attempts: vec!["503".to_owned(), "201".to_owned()],
            acknowledged,
        }
    }

    #[test]
    fn only_what_was_acknowledged_is_in_the_journal_and_at_once() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("journal");
        let mut journal = Journal::create(&path).expect("it is writable");
        let acknowledged = Acknowledged { status: StatusCode::CREATED, order_id: "0198".to_owned() };
        journal.write(&finished(Some(acknowledged)), Timestamp::UNIX_EPOCH).expect("it is writable");
        journal.write(&finished(None), Timestamp::UNIX_EPOCH).expect("nothing is written");
        let text = std::fs::read_to_string(&path).expect("it is readable");
        let entries: Vec<Entry> = text.lines().map(|line| serde_json::from_str(line).expect("an entry")).collect();
        assert_eq!(entries.len(), 1);
        assert_eq!((entries[0].order_id.as_str(), entries[0].status, entries[0].attempts), ("0198", 201, 2));
    }
}
