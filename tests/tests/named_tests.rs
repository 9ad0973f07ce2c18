//! The threat model names the test that holds each of its lines: all of them exist.

use std::{collections::BTreeSet, fs, path::Path};

use journeys::repository;

const PAGE: &str = "docs/security.md";

#[test]
fn every_test_that_the_threat_model_names_is_there_and_every_line_names_one() {
    let root = repository::root();
    let page = fs::read_to_string(root.join(PAGE)).expect("the page is there");
    let mut tests = BTreeSet::new();
    for folder in ["crates", "services", "tests"] {
        gather(&root.join(folder), &mut tests);
    }
    let lines: Vec<&str> = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| |")).collect();
    assert!(lines.len() > 20, "the model has {} lines", lines.len());
    for line in lines {
        let held_by = line.trim_end_matches('|').rsplit('|').next().expect("a line has cells");
        let named: Vec<&str> = held_by.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "no test holds this line of {PAGE}: {line}");
        for name in named {
            assert!(tests.contains(name), "{PAGE} names a test that there is not: {name}");
        }
    }
}

/// The names of all tests below the folder.
fn gather(folder: &Path, tests: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            gather(&path, tests);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).expect("source is text");
            let mut is_test = false;
            for line in source.lines().map(str::trim_start) {
                if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                    is_test = true;
                } else if let Some((_, rest)) = line.split_once("fn ").filter(|_| is_test) {
                    tests.extend(rest.split('(').next().map(str::to_owned));
                    is_test = false;
                }
            }
        }
    }
}
