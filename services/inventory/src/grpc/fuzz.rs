//! Cursors that nobody was given.

use super::*;

#[test]
fn a_cursor_that_is_taken_is_one_that_is_given() {
    fuzzing::target!("cursors", &["mug", "sku-0017", "-mug", "Mug", ""], |bytes| {
        let Ok(cursor) = str::from_utf8(bytes) else { return };
        match after(cursor) {
            Ok(None) => assert_eq!(cursor, ""),
            // as the last product of a page is named
            Ok(Some(sku)) => assert_eq!(sku.as_str(), cursor),
            Err(error) => assert_ne!(cursor, "", "{error}"),
        }
    });
}
