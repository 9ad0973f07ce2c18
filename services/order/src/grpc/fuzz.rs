//! Cursors that nobody was given.

use super::*;

const EXAMPLES: [&str; 5] = [
    "01936b1e-7c5a-7cc2-a3f1-0242ac120002",
    "01936B1E-7C5A-7CC2-A3F1-0242AC120002",
    "01936b1e7c5a7cc2a3f10242ac120002",
    "{01936b1e-7c5a-7cc2-a3f1-0242ac120002}",
    "",
];

#[test]
fn a_cursor_that_is_taken_is_one_that_is_given() {
    fuzzing::target!("cursors", &EXAMPLES, |bytes| {
        let Ok(cursor) = str::from_utf8(bytes) else { return };
        match before(cursor) {
            Ok(None) => assert_eq!(cursor, ""),
            // as the last order of a page is named
            Ok(Some(id)) => assert_eq!(id.to_string(), cursor),
            Err(error) => assert_ne!(cursor, "", "{error}"),
        }
    });
}
