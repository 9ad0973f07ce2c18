//! A letter as Kafka brought it.

use std::{
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
};

use contracts::event::{Envelope, Event, InvalidEvent};
use jiff::Timestamp;
use rdkafka::{Message, message::BorrowedMessage, message::Headers};

/// A Kafka message in memory of its own, not yet read. All of it is one piece of memory: letters are many, and live for a moment.
#[derive(Debug)]
pub struct Letter {
    /// Its offset.
    pub offset: i64,
    bytes: Vec<u8>,
    key: Option<Range<usize>>,
    /// Names and values. The names are UTF-8.
    headers: Vec<(Range<usize>, Option<Range<usize>>)>,
    payload: Option<Range<usize>>,
    is_unwanted: bool,
}

/// A header: its name, and its value if it has one.
pub type LetterHeader<'a> = (&'a str, Option<&'a [u8]>);

impl Letter {
    /// A letter with these parts. No payload: a tombstone.
    pub fn new<'a>(
        offset: i64,
        key: Option<&[u8]>,
        headers: impl IntoIterator<Item = LetterHeader<'a>>,
        payload: Option<&[u8]>,
    ) -> Self {
        let sizes = [key, payload].map(|part| part.map_or(0, <[u8]>::len));
        let mut letter = Self {
            offset,
            // the headers of a letter of ours are not longer
            bytes: Vec::with_capacity(sizes.iter().sum::<usize>() + 512),
            key: None,
            headers: Vec::with_capacity(10),
            payload: None,
            is_unwanted: false,
        };
        letter.key = key.map(|key| letter.keep(key));
        for (name, value) in headers {
            let header = (letter.keep(name.as_bytes()), value.map(|value| letter.keep(value)));
            letter.headers.push(header);
        }
        letter.payload = payload.map(|payload| letter.keep(payload));
        letter
    }

    /// Copies a message, without headers whose names are no UTF-8.
    pub fn from_kafka(message: &BorrowedMessage<'_>) -> Self {
        Self::new(message.offset(), message.key(), readable_headers(message), message.payload())
    }

    /// Copies a message if its type is wanted, or it cannot be read. Of one that is right and unwanted, only the time is kept: of most topics
    /// a group wants the smaller part.
    pub(crate) fn from_kafka_if(message: &BorrowedMessage<'_>, is_wanted: impl Fn(&str) -> bool) -> Self {
        let of_type = readable_headers(message).find(|&(name, _)| name == TYPE);
        let event_type = of_type.and_then(|(_, value)| str::from_utf8(value?).ok());
        let is_right = || Envelope::read(message.key(), readable_headers(message), message.payload()).is_ok();
        if event_type.is_none_or(is_wanted) || !is_right() {
            return Self::from_kafka(message);
        }
        let time = readable_headers(message).filter(|&(name, _)| name == TIME);
        Self { is_unwanted: true, ..Self::new(message.offset(), None, time, None) }
    }

    /// Whether it is one that nobody here wants, and nothing is known of it but its time.
    pub(crate) fn is_unwanted(&self) -> bool {
        self.is_unwanted
    }

    /// What the letter says.
    pub fn read(&self) -> Result<Event, InvalidEvent> {
        Event::from_kafka(self.key(), self.headers(), self.payload())
    }

    /// Its key, if it has one.
    pub fn key(&self) -> Option<&[u8]> {
        self.key.clone().map(|range| &self.bytes[range])
    }

    /// Its headers, but for those whose names are no UTF-8.
    pub fn headers(&self) -> impl Iterator<Item = LetterHeader<'_>> {
        self.headers.iter().map(|(name, value)| {
            let name = str::from_utf8(&self.bytes[name.clone()]).expect("it was kept as text");
            (name, value.clone().map(|range| &self.bytes[range]))
        })
    }

    /// What it carries; `None` for a tombstone.
    pub fn payload(&self) -> Option<&[u8]> {
        self.payload.clone().map(|range| &self.bytes[range])
    }

    /// How large it is, in bytes: key, headers and payload.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// When what it tells of happened, as it says itself.
    pub(crate) fn time(&self) -> Option<Timestamp> {
        self.header(TIME)?.parse().ok()
    }

    /// The letter's `traceparent`, when it looks like one.
    pub(crate) fn traceparent(&self) -> Option<&str> {
        let text = self.header("traceparent")?;
        (text.len() <= 128 && text.bytes().all(|byte| byte.is_ascii_graphic())).then_some(text)
    }

    fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers().find(|&(known, _)| known == name)?;
        str::from_utf8(value?).ok()
    }

    fn keep(&mut self, part: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(part);
        start..self.bytes.len()
    }
}

/// The header that names the type of a letter.
const TYPE: &str = "ce_type";

/// The header that says when what a letter tells of happened.
const TIME: &str = "ce_time";

/// The headers, without those whose names are no UTF-8: rdkafka panics on them (`BorrowedHeaders::try_get`
/// unwraps), and such a letter must not take the consumer with it. No header that matters has such a name.
fn readable_headers<'a>(message: &'a BorrowedMessage<'_>) -> impl Iterator<Item = LetterHeader<'a>> {
    message.headers().into_iter().flat_map(|headers| {
        (0..headers.count()).filter_map(|index| {
            let header = catch_unwind(AssertUnwindSafe(|| headers.get(index))).ok()?;
            Some((header.key, header.value))
        })
    })
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_gives_back_its_parts() {
        let headers =
            [("ce_type", Some(b"order.completed".as_slice())), ("empty", Some(b"".as_slice())), ("null", None)];
        let letter = Letter::new(7, Some(b"key"), headers, Some(b"payload"));
        assert_eq!(
            (letter.offset, letter.key(), letter.payload()),
            (7, Some(b"key".as_slice()), Some(b"payload".as_slice()))
        );
        assert_eq!(letter.headers().collect::<Vec<_>>(), headers);
        assert_eq!(letter.size(), 3 + 7 + 15 + 5 + 4 + 7);
        let tombstone = Letter::new(8, None, [], None);
        assert_eq!((tombstone.key(), tombstone.payload(), tombstone.headers().next()), (None, None, None));
    }
}
