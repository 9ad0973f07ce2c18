//! The output of a service: into its log file as it is, and onto the terminal with the service's name before each line.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use owo_colors::{AnsiColors, OwoColorize, Stream};
use tokio::io::{AsyncRead, AsyncReadExt};

/// A log of this size is moved to `<name>.log.1`, over the one before it: logs are bounded.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// A longer line is shown in parts.
const LINE_BYTES_MAX: usize = 16 * 1024;
const COLOURS: [AnsiColors; 6] = [
    AnsiColors::Cyan,
    AnsiColors::Green,
    AnsiColors::Yellow,
    AnsiColors::Magenta,
    AnsiColors::Blue,
    AnsiColors::BrightRed,
];

/// Where the output of one service goes.
#[derive(Debug, Clone)]
pub struct Log {
    label: String,
    colour: AnsiColors,
    shown: Arc<AtomicBool>,
    file: Arc<Mutex<LogFile>>,
}

#[derive(Debug)]
struct LogFile {
    path: PathBuf,
    file: File,
    bytes: u64,
    last_line: String,
}

impl Log {
    /// Appends to the file at `path`. Lines are shown on the terminal while `shown` is true; `index` chooses a colour.
    pub fn open(name: &str, index: usize, path: PathBuf, shown: Arc<AtomicBool>) -> std::io::Result<Self> {
        let file = LogFile::open(path)?;
        let colour = COLOURS[index % COLOURS.len()];
        Ok(Self { label: format!("{name:>10} │"), colour, shown, file: Arc::new(Mutex::new(file)) })
    }

    /// Takes over everything that `from` says, until it ends.
    pub async fn follow(self, mut from: impl AsyncRead + Unpin) {
        let mut chunk = vec![0; LINE_BYTES_MAX];
        let mut line = Vec::new();
        while let Ok(length @ 1..) = from.read(&mut chunk).await {
            self.with_file(|file| file.append(&chunk[..length]));
            for part in chunk[..length].split_inclusive(|&byte| byte == b'\n') {
                line.extend_from_slice(part);
                if part.ends_with(b"\n") || line.len() >= LINE_BYTES_MAX {
                    self.show(String::from_utf8_lossy(&line).trim_end());
                    line.clear();
                }
            }
        }
    }

    /// The last line that was not empty.
    pub fn last_line(&self) -> String {
        self.with_file(|file| file.last_line.clone())
    }

    fn show(&self, line: &str) {
        if line.is_empty() {
            return;
        }
        line.clone_into(&mut self.with_file_guard().last_line);
        if self.shown.load(Ordering::Relaxed) {
            let label = self.label.if_supports_color(Stream::Stdout, |label| label.color(self.colour));
            // nobody may be listening any more
            let _ = writeln!(std::io::stdout(), "{label} {line}");
        }
    }

    fn with_file<T>(&self, work: impl FnOnce(&mut LogFile) -> T) -> T {
        work(&mut self.with_file_guard())
    }

    fn with_file_guard(&self) -> std::sync::MutexGuard<'_, LogFile> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogFile {
    fn open(path: PathBuf) -> std::io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { path, file, bytes, last_line: String::new() })
    }

    /// A log that cannot be written must not stop the service that it is about.
    fn append(&mut self, bytes: &[u8]) {
        if self.bytes >= FILE_BYTES_MAX {
            let _ = self.start_afresh();
        }
        if self.file.write_all(bytes).is_ok() {
            self.bytes += u64::try_from(bytes.len()).unwrap_or(0);
        }
    }

    fn start_afresh(&mut self) -> std::io::Result<()> {
        std::fs::rename(&self.path, self.path.with_extension("log.1"))?;
        let last_line = std::mem::take(&mut self.last_line);
        *self = Self { last_line, ..Self::open(self.path.clone())? };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(folder: &tempfile::TempDir) -> Log {
        let path = folder.path().join("order.log");
        Log::open("order", 0, path, Arc::new(AtomicBool::new(false))).expect("it is writable")
    }

    #[tokio::test]
    async fn output_reaches_the_file_as_it_is() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let log = open(&folder);
        log.clone().follow("one\n\ntwo".as_bytes()).await;
        let written = std::fs::read_to_string(folder.path().join("order.log")).expect("it is readable");
        assert_eq!(written, "one\n\ntwo");
        assert_eq!(log.last_line(), "one");
    }

    #[test]
    fn a_full_log_makes_room_and_the_one_before_is_kept() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let log = open(&folder);
        log.with_file(|file| {
            file.append(b"old\n");
            file.bytes = FILE_BYTES_MAX;
            file.append(b"new\n");
        });
        let read = |name| std::fs::read_to_string(folder.path().join(name)).expect("it is readable");
        assert_eq!(read("order.log"), "new\n");
        assert_eq!(read("order.log.1"), "old\n");
    }
}
