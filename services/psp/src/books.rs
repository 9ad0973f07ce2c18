//! The books: a file with one JSON line for each entry, on the disk before anything is answered.
//!
//! One thread writes. It takes what has queued up meanwhile and makes it durable with one fsync, so that many charges
//! share one. The file is locked while it is open: two networks must not write one set of books.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, BufRead, BufReader, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};
use tracing::{error, warn};

use crate::{charges::Charges, entry::Entry};

/// Entries that wait for the writer; who finds the queue full waits for a place.
const QUEUE_ENTRIES_MAX: usize = 4096;

/// The longest wait for a place in the queue, and for the disk.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Why the books cannot be opened. Each is one line that names the file and the cure.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be used.
    #[error("PSP_BOOKS: {path} cannot be opened: {source}; name a file in an existing folder that may be written")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another process writes these books.
    #[error("PSP_BOOKS: {0} is in use by another process; stop it or name another file")]
    InUse(PathBuf),
    /// A line in the middle is damaged.
    #[error("PSP_BOOKS: {path} is damaged in line {line}: {reason}; restore the file from a copy")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
}

/// Why an entry is not known to be on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The disk did not take it in time; it may still do.
    #[error("the books were not written within {} s", WAIT_MAX.as_secs())]
    Slow,
    /// The disk refused. Nothing can be written any more, and this process must end.
    #[error("the books cannot be written any more")]
    Failed,
}

/// The books, open for writing.
#[derive(Debug)]
pub struct Books {
    queue: mpsc::Sender<Entry>,
    durable: watch::Receiver<u64>,
}

/// A place in the queue of entries to be written.
#[derive(Debug)]
pub struct Slot<'a>(mpsc::Permit<'a, Entry>);

impl Slot<'_> {
    /// Queues the entry. Entries are written in the order of these calls.
    pub fn append(self, entry: Entry) {
        self.0.send(entry);
    }
}

impl Books {
    /// Opens or creates the file, reads what it tells and starts the thread that writes.
    ///
    /// A last line that was cut off (the process or the machine died while writing it, so nobody was answered) is
    /// removed. Damage anywhere else is refused.
    pub fn open(path: &Path) -> Result<(Self, Charges), OpenError> {
        let unusable = |source| OpenError::Unusable { path: path.to_owned(), source };
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(unusable)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => OpenError::InUse(path.to_owned()),
            TryLockError::Error(source) => unusable(source),
        })?;
        let charges = read(path, &mut file)?;
        make_name_durable(path).map_err(unusable)?;

        let (queue, entries) = mpsc::channel(QUEUE_ENTRIES_MAX);
        let (durable_sender, durable) = watch::channel(charges.entries());
        let path_of_writer = path.to_owned();
        thread::Builder::new()
            .name("psp-books".to_owned())
            .spawn(move || {
                if let Err(error) = write(file, entries, &durable_sender) {
                    error!(path = %path_of_writer.display(), %error, "the books cannot be written, stopping");
                }
            })
            .map_err(unusable)?;
        Ok((Self { queue, durable }, charges))
    }

    /// A place in the queue, as soon as there is one.
    pub async fn slot(&self) -> Result<Slot<'_>, WriteError> {
        let permit = timeout(WAIT_MAX, self.queue.reserve()).await.map_err(|_| WriteError::Slow)?;
        permit.map(Slot).map_err(|_| WriteError::Failed)
    }

    /// Waits until the first `entries` entries are on the disk.
    pub async fn durable(&self, entries: u64) -> Result<(), WriteError> {
        let mut durable = self.durable.clone();
        let waited = timeout(WAIT_MAX, durable.wait_for(|&written| written >= entries)).await;
        waited.map_err(|_| WriteError::Slow)?.map(drop).map_err(|_| WriteError::Failed)
    }

    /// Waits until nothing can be written any more.
    pub async fn failed(&self) {
        self.queue.closed().await;
    }
}

/// Reads all entries, and leaves the file at its end.
fn read(path: &Path, file: &mut File) -> Result<Charges, OpenError> {
    let unusable = |source| OpenError::Unusable { path: path.to_owned(), source };
    let Told { charges, end, is_cut_off } = told(path, BufReader::new(&*file))?;
    if is_cut_off {
        warn!(path = %path.display(), line = charges.entries() + 1, "the last line is cut off, removing it");
        file.set_len(end).and_then(|()| file.sync_all()).map_err(unusable)?;
    }
    file.seek(SeekFrom::Start(end)).map_err(unusable)?;
    Ok(charges)
}

/// What a file tells.
#[derive(Debug)]
struct Told {
    charges: Charges,
    /// Where its whole lines end, in bytes.
    end: u64,
    /// Whether more comes after that.
    is_cut_off: bool,
}

/// Reads all entries of the file that is called so.
fn told(path: &Path, mut lines: impl BufRead) -> Result<Told, OpenError> {
    let mut charges = Charges::default();
    let mut line = Vec::new();
    let mut end = 0;
    loop {
        line.clear();
        let read = lines.read_until(b'\n', &mut line);
        let length = read.map_err(|source| OpenError::Unusable { path: path.to_owned(), source })?;
        if line.last() != Some(&b'\n') {
            return Ok(Told { charges, end, is_cut_off: !line.is_empty() });
        }
        let number = charges.entries() + 1;
        let damaged = |reason| OpenError::Damaged { path: path.to_owned(), line: number, reason };
        let entry: Entry = serde_json::from_slice(&line).map_err(|error| damaged(error.to_string()))?;
        charges.apply(&entry).map_err(|contradiction| damaged(contradiction.to_string()))?;
        end += length as u64;
    }
}

/// A new file is found again after a crash of the machine only when its folder is synced, too.
fn make_name_durable(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// Writes entries until the other side of the queue is gone. On an error the file's end is not known to be whole, so
/// nothing is written after it.
fn write(mut file: File, mut entries: mpsc::Receiver<Entry>, durable: &watch::Sender<u64>) -> io::Result<()> {
    let mut batch = Vec::with_capacity(QUEUE_ENTRIES_MAX);
    let mut lines = Vec::new();
    while entries.blocking_recv_many(&mut batch, QUEUE_ENTRIES_MAX) > 0 {
        let count = batch.len() as u64;
        lines.clear();
        for entry in batch.drain(..) {
            serde_json::to_writer(&mut lines, &entry)?;
            lines.push(b'\n');
        }
        file.write_all(&lines)?;
        file.sync_data()?;
        durable.send_modify(|written| *written += count);
    }
    Ok(())
}

#[cfg(test)]
mod fuzz;
