//! Books that nobody of us wrote, and those that strangers make us write.

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::{
    charges::{ChargeAnswer, RefundAnswer},
    entry::{Change, Refund, Terms},
    reference::Reference,
};

const BOOKS: [&str; 4] = [
    "{\"at\":\"2026-11-21T09:00:00Z\",\"merchant_reference\":\"a\",\"change\":{\"captured\":{\"amount\":{\"amount_minor\":1250,\"currency\":\"EUR\"},\"card_token\":\"tok_visa\"}}}
{\"at\":\"2026-11-21T09:00:00.5Z\",\"merchant_reference\":\"a\",\"change\":{\"refunded\":{\"refund_reference\":\"r\",\"amount\":{\"amount_minor\":1250,\"currency\":\"EUR\"}}}}
{\"at\":\"2026-11-21T09:00:00.5Z\",\"merchant_reference\":\"b\",\"change\":\"voided\"}
",
    "{\"at\":\"2026-11-21T09:00:00Z\",\"merchant_reference\":\"a\",\"change\":{\"asked\":{\"amount\":{\"amount_minor\":0,\"currency\":\"JPY\"},\"card_token\":\"tok_flaky\"}}}
{\"at\":\"2026-11-21T09:00:01Z\",\"merchant_reference\":\"a\",\"change\":{\"declined\":{\"amount\":{\"amount_minor\":0,\"currency\":\"JPY\"},\"card_token\":\"tok_flaky\"}}}
",
    "{\"at\":\"2026-11-21T09:00:00Z\",\"merchant_reference\":\"a\",\"change\":\"voided\"}
{\"at\":\"2026-11-21T09:00:00Z\",\"merchant_reference\":\"a\",\"cha",
    "",
];

const REQUESTS: [&str; 4] = [
    "charge a {\"amount\":{\"amount_minor\":1250,\"currency\":\"EUR\"},\"card_token\":\"tok_visa\"}
refund a {\"refund_reference\":\"r\",\"amount\":{\"amount_minor\":1000,\"currency\":\"EUR\"}}
refund a {\"refund_reference\":\"s\",\"amount\":{\"amount_minor\":251,\"currency\":\"EUR\"}}
void a",
    "charge a {\"amount\":{\"amount_minor\":9223372036854775807,\"currency\":\"EUR\"},\"card_token\":\"tok_flaky\"}
charge a {\"amount\":{\"amount_minor\":9223372036854775807,\"currency\":\"EUR\"},\"card_token\":\"tok_flaky\"}
charge a {\"amount\":{\"amount_minor\":9223372036854775807,\"currency\":\"EUR\"},\"card_token\":\"tok_flaky\"}
refund a {\"refund_reference\":\"r\",\"amount\":{\"amount_minor\":9223372036854775807,\"currency\":\"EUR\"}}",
    "void a
charge a {\"amount\":{\"amount_minor\":1,\"currency\":\"EUR\"},\"card_token\":\"tok_slow_2s\"}
charge b {\"amount\":{\"amount_minor\":1,\"currency\":\"EUR\"},\"card_token\":\"tok_slow_2s\"}
void b",
    "charge a {\"amount\":{\"amount_minor\":1,\"currency\":\"EUR\"},\"card_token\":\"tok_charged_no_reply\"}
charge a {\"amount\":{\"amount_minor\":2,\"currency\":\"EUR\"},\"card_token\":\"tok_charged_no_reply\"}
refund a {\"refund_reference\":\"r\",\"amount\":{\"amount_minor\":1,\"currency\":\"USD\"}}
charge b {\"amount\":{\"amount_minor\":2,\"currency\":\"EUR\"},\"card_token\":\"tok_declined\"}",
];

fn books_of(bytes: &[u8]) -> Result<Told, OpenError> {
    told(Path::new("books"), bytes)
}

#[test]
fn books_are_read_whole_or_the_line_is_named_and_written_again_they_are_the_same() {
    fuzzing::target!("books", &BOOKS, |bytes| {
        let lines = bytes.split_inclusive(|&byte| byte == b'\n');
        let whole: Vec<&[u8]> = lines.filter(|line| line.ends_with(b"\n")).collect();
        let told = match books_of(bytes) {
            Ok(told) => told,
            Err(OpenError::Damaged { line, .. }) => {
                // all before it is right, and it is not
                let before = usize::try_from(line - 1).expect("a line of these");
                assert!(books_of(&whole[..before].concat()).is_ok());
                assert!(books_of(&whole[..=before].concat()).is_err());
                return;
            }
            Err(error) => panic!("{error}"),
        };
        assert_eq!(told.charges.entries(), whole.len() as u64);
        assert_eq!(told.end, whole.concat().len() as u64);
        assert_eq!(told.is_cut_off, told.end < bytes.len() as u64);
        let entries: Vec<Entry> =
            whole.iter().map(|line| serde_json::from_slice(line).expect("it was read before")).collect();
        assert_eq!(read_again(&entries), told.charges);
        add_up(&told.charges, &entries);
    });
}

#[test]
fn whatever_is_asked_captures_once_gives_back_no_more_and_stands_in_the_books() {
    fuzzing::target!("requests", &REQUESTS, |bytes| {
        let mut charges = Charges::default();
        let mut entries = Vec::new();
        let mut now: Timestamp = "2026-11-21T09:00:00Z".parse().expect("a time");
        for line in bytes.split(|&byte| byte == b'\n').take(64) {
            let Ok(line) = str::from_utf8(line) else { continue };
            let mut words = line.splitn(3, ' ');
            let (Some(verb), Some(name)) = (words.next(), words.next()) else { continue };
            let Ok(reference) = Reference::try_from(name.to_owned()) else { continue };
            let body = words.next().unwrap_or_default();
            // a clock that goes back now and then
            now += SignedDuration::from_millis(if line.len().is_multiple_of(3) { -10 } else { 7 });
            let change = match verb {
                "charge" => {
                    let Ok(terms) = serde_json::from_str::<Terms>(body) else { continue };
                    taken_as_written::<Terms>(body, &terms);
                    let (answer, change) = charges.charge(&reference, &terms, body.len().is_multiple_of(2));
                    if answer == ChargeAnswer::Captured && change.is_none() {
                        assert!(charges.find(&reference).is_some_and(|charge| charge.captured_at().is_some()));
                    }
                    change
                }
                "void" => charges.void(&reference),
                "refund" => {
                    let Ok(refund) = serde_json::from_str::<Refund>(body) else { continue };
                    taken_as_written::<Refund>(body, &refund);
                    let (answer, change) = charges.refund(&reference, &refund);
                    assert!(change.is_none() || answer == RefundAnswer::Refunded);
                    change
                }
                _ => continue,
            };
            if let Some(change) = change {
                let entry = Entry { at: charges.entry_time(now), merchant_reference: reference, change };
                charges.apply(&entry).expect("what was decided can be done");
                entries.push(entry);
            }
        }
        assert_eq!(read_again(&entries), charges);
        add_up(&charges, &entries);
    });
}

/// The charges that the entries tell, when they are written down first.
fn read_again(entries: &[Entry]) -> Charges {
    let mut written = Vec::new();
    for entry in entries {
        serde_json::to_writer(&mut written, entry).expect("it can be written");
        written.push(b'\n');
    }
    let told = books_of(&written).expect("what we write can be read");
    assert!(!told.is_cut_off);
    told.charges
}

/// Nothing was taken but what was asked for: as it was written, nothing was lost of it.
fn taken_as_written<T: serde::Serialize>(body: &str, taken: &T) {
    // serde takes a list of the fields in their sequence as well
    if body.contains('[') {
        return;
    }
    let written: serde_json::Value = serde_json::from_str(body).expect("it was read before");
    assert_eq!(serde_json::to_value(taken).expect("it can be written"), written);
}

fn add_up(charges: &Charges, entries: &[Entry]) {
    let captures: Vec<_> = charges.captures_from(0, usize::MAX).collect();
    assert_eq!(captures.len(), charges.captures());
    assert!(captures.is_sorted_by_key(|(_, charge)| charge.captured_at()));
    for (reference, charge) in captures {
        let terms = charge.terms.as_ref().expect("what was captured has terms");
        assert!(charge.refunded_minor() <= terms.amount.minor(), "{reference:?} gave back more than it captured");
        let is_capture =
            |entry: &&Entry| entry.merchant_reference == *reference && matches!(entry.change, Change::Captured(_));
        assert_eq!(entries.iter().filter(is_capture).count(), 1, "{reference:?}");
    }
    for entry in entries {
        let first = charges.first_capture_since(entry.at);
        assert!(charges.captures_from(first, 1).all(|(_, charge)| charge.captured_at() >= Some(entry.at)));
    }
}
