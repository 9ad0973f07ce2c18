//! Words that may stand in some files only: a topic's name in one file, the trade's vocabulary in no crate.

use std::path::Path;

use contracts::topics;
use journeys::repository::{from_root, root, rust_files, text};

/// What only services and contracts speak of. The crates are mechanism: they carry letters and calls of any trade.
const TRADE: [&str; 9] = [
    "accounts::v1",
    "events::v1",
    "inventory::v1",
    "order::v1",
    "payment::v1",
    "shipping::v1",
    "AccountId",
    "OrderId",
    "Sku",
];

#[test]
fn a_topic_is_spelled_in_topics_rs_only() {
    let topics: Vec<_> = topics::ALL.iter().map(|topic| topic.name()).collect();
    let place = root().join("proto/src/topics.rs");
    let mut found = Vec::new();
    for file in
        ["proto", "crates", "services", "tests", "bench"].into_iter().flat_map(rust_files).filter(|file| *file != place)
    {
        found.extend(lines_with(&topics, &file, &text(&file)));
    }
    assert!(found.is_empty(), "say topics::NAME instead of:\n{}", found.join("\n"));
}

#[test]
fn crates_do_not_speak_of_the_trade() {
    let mut found = Vec::new();
    for file in rust_files("crates") {
        // a crate's own tests need some trade to try the mechanism on
        if file.components().any(|part| part.as_os_str() == "tests") {
            continue;
        }
        let text = text(&file);
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        found.extend(lines_with(&TRADE, &file, code));
    }
    assert!(found.is_empty(), "these belong in services, not in crates:\n{}", found.join("\n"));
}

#[test]
fn a_word_in_code_is_found_and_one_in_a_comment_is_not() {
    let topic = topics::ORDERS.name();
    let code = format!("//! Reads {topic}.\nlet a = 1; // {topic}\nlet b = \"dev.{topic}\";\n");
    assert_eq!(lines_with(&[topic], &root().join("x.rs"), &code), [format!("x.rs:3: {topic}")]);
}

/// Each line of code that has one of the words, as `path:line: word`.
fn lines_with(words: &[&str], file: &Path, code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in (1..).zip(code.lines()) {
        let line = before_comment(line);
        for word in words.iter().filter(|word| line.contains(**word)) {
            found.push(format!("{}:{number}: {word}", from_root(file)));
        }
    }
    found
}

/// The line up to a comment. Two slashes after a colon are an address.
fn before_comment(line: &str) -> &str {
    let end = line.match_indices("//").map(|(at, _)| at).find(|at| !line[..*at].ends_with(':'));
    &line[..end.unwrap_or(line.len())]
}
