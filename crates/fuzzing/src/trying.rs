//! A target as a test.

use std::{
    fs, io,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
    time::{Duration, Instant},
};

use crate::changes::Changes;

/// How many inputs are made of those that are known.
const MADE: usize = 5_000;

/// When no more are made. Only a machine that is much too slow for the time that tests have sends fewer than [`MADE`].
const TIME_MAX: Duration = Duration::from_secs(2);

/// Sends the property all that is known, and what can be made of it.
pub fn try_all(corpus: &str, examples: &[impl AsRef<[u8]>], mut property: impl FnMut(&[u8])) {
    let mut known: Vec<(String, Vec<u8>)> =
        (1..).zip(examples).map(|(number, bytes)| (format!("example {number}"), bytes.as_ref().to_vec())).collect();
    known.extend(kept(Path::new(corpus)));
    for (name, input) in &known {
        try_one(&mut property, input, name);
    }
    let began = Instant::now();
    let changes = Changes::of(known.into_iter().map(|(_, input)| input).collect());
    for (number, input) in (1..=MADE).zip(changes) {
        if began.elapsed() > TIME_MAX {
            break;
        }
        try_one(&mut property, &input, &format!("input {number} of those that were made"));
    }
}

/// What was kept for the target, in the order of its names; nothing where there is no such folder.
fn kept(corpus: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = match fs::read_dir(corpus) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => panic!("{}: {error}", corpus.display()),
    };
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("the folder can be read").path()).collect();
    paths.sort();
    let read = |path: &Path| fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    paths.into_iter().map(|path| (path.display().to_string(), read(&path))).collect()
}

fn try_one(property: &mut impl FnMut(&[u8]), input: &[u8], name: &str) {
    let tried = catch_unwind(AssertUnwindSafe(|| property(input)));
    if let Err(panic) = tried {
        eprintln!("{name} breaks the property: b\"{}\"", input.escape_ascii());
        resume_unwind(panic);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_sends_the_same_and_more_than_was_given() {
        let sent = || {
            let mut sent = Vec::new();
            try_all("no/such/folder", &["limit=20&cursor=abc", ""], |input| sent.push(input.to_vec()));
            sent
        };
        let (once, again) = (sent(), sent());
        assert_eq!(once[..2], [b"limit=20&cursor=abc".to_vec(), Vec::new()]);
        let both = once.len().min(again.len());
        assert!(both > 100, "{both} inputs");
        assert!(once[..both] == again[..both], "two runs differ");
    }

    #[test]
    fn an_input_that_breaks_the_property_ends_the_test() {
        let tried = catch_unwind(|| try_all("no/such/folder", &["abc"], |input| assert!(!input.ends_with(b"c"))));
        assert!(tried.is_err());
    }

    #[test]
    fn what_was_kept_is_sent_as_well() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
        let mut found = false;
        try_all(folder, &[""; 0], |input| found |= input.starts_with(b"//! A target as a test."));
        assert!(found);
    }
}
