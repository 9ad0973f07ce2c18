//! Whatever lies on a topic: anybody who may write there can put it there.

use super::*;

/// Written as what is sent to the target: the key, a header in each line, an empty line, the payload.
const EXAMPLES: [&str; 6] = [
    "an-order\nce_specversion: 1.0\nce_id: 01936b1e-7c5a-7cc2-a3f1-0242ac120002\nce_type: order.created\nce_source: /order\nce_subject: \
     an-order\nce_time: 2026-11-21T09:00:00.5Z\nce_sequence: 1\ncontent-type: application/protobuf\ntraceparent: \
     00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\n\n\n\x0aabc",
    "an-order\nce_specversion: 1.0\nce_id: urn:uuid:01936b1e-7c5a-7cc2-a3f1-0242ac120002\nce_type: t\nce_source: s\nce_subject: an-order\nce_time: \
     2026-11-21T10:00:00.123456789+01:00[Europe/Paris]\nce_sequence: +7\ncontent-type: application/protobuf\nce_type: again\nother: header\n\n",
    "an-order\nce_specversion: 1.0\nce_id: {01936B1E7C5A7CC2A3F10242AC120002}\nce_type\nce_source: s\nce_subject: an-order\nce_time: \
     -009999-01-02T01:59:59Z\nce_sequence: 9223372036854775807\ncontent-type: application/protobuf\n\n",
    "an-order\nce_specversion: 0.3\ncontent-type: application/json\nce_sequence: 0\n\n{}",
    "an-order",
    "",
];

#[test]
fn what_is_read_of_a_message_is_what_it_says_and_the_same_when_it_is_written_again() {
    fuzzing::target!("letters", &EXAMPLES, |bytes| {
        let (head, payload) = split(bytes, b"\n\n").map_or((bytes, None), |(head, payload)| (head, Some(payload)));
        let mut lines = head.split(|&byte| byte == b'\n');
        let key = lines.next().filter(|key| !key.is_empty());
        let headers: Vec<LetterHeader<'_>> = lines
            .filter_map(|line| match split(line, b": ") {
                Some((name, value)) => Some((str::from_utf8(name).ok()?, Some(value))),
                None => Some((str::from_utf8(line).ok()?, None)),
            })
            .collect();

        let letter = Letter::new(7, key, headers.iter().copied(), payload);
        assert_eq!((letter.key(), letter.payload()), (key, payload));
        assert_eq!(letter.headers().collect::<Vec<_>>(), headers);
        let traceparent = letter.traceparent();
        assert!(traceparent.is_none_or(|text| text.bytes().all(|byte| byte.is_ascii_graphic())));

        let envelope = Envelope::read(key, headers.iter().copied(), payload);
        let event = match (letter.read(), envelope) {
            (Ok(event), Ok(envelope)) => {
                assert_eq!((event.id, event.event_type.as_str()), (envelope.id, envelope.event_type));
                event
            }
            (Err(one), Err(other)) => return assert_eq!(one, other),
            (one, other) => panic!("a letter is {one:?} to one and {other:?} to the other"),
        };
        // what a consumer goes by
        assert_eq!(Some(event.subject.as_bytes()), key);
        assert_eq!(Some(event.payload.as_slice()), payload);
        assert!(event.sequence > 0 && !event.event_type.is_empty());
        assert_eq!(letter.time(), Some(event.time));

        let written = event.to_headers();
        let written = written.iter().map(|(name, value)| (*name, Some(value.as_bytes())));
        let again = Letter::new(7, Some(event.subject.as_bytes()), written, Some(&event.payload));
        assert_eq!(again.read().as_ref(), Ok(&event));
    });
}

/// What stands before and after the first of these.
fn split<'a>(bytes: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = bytes.windows(separator.len()).position(|window| window == separator)?;
    Some((&bytes[..at], &bytes[at + separator.len()..]))
}
