//! Cursors that nobody was given.

use super::*;

const EXAMPLES: [&str; 6] = [
    "1795251600000000_01936b1e-7c5a-7cc2-a3f1-0242ac120002",
    "+1795251600000000_01936b1e-7c5a-7cc2-a3f1-0242ac120002",
    "0_01936B1E7C5A7CC2A3F10242AC120002",
    "-1_01936b1e-7c5a-7cc2-a3f1-0242ac120002",
    "253402207200000000_urn:uuid:01936b1e-7c5a-7cc2-a3f1-0242ac120002",
    "",
];

#[test]
fn a_cursor_that_is_taken_is_one_that_is_given() {
    fuzzing::target!("cursors", &EXAMPLES, |bytes| {
        let Ok(cursor) = str::from_utf8(bytes) else { return };
        match place(cursor) {
            Ok(None) => assert_eq!(cursor, ""),
            Ok(Some(place)) => {
                assert_eq!(self::cursor(place), cursor);
                // times of Postgres begin later than ours
                assert!(place.created_at >= Timestamp::UNIX_EPOCH);
            }
            Err(error) => assert_ne!(cursor, "", "{error}"),
        }
    });
}
