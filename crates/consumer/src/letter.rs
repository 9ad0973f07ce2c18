//! A letter as Kafka brought it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use contracts::event::{Event, InvalidEvent};
use jiff::Timestamp;
use rdkafka::{Message, message::BorrowedMessage, message::Headers};

/// A Kafka message in memory of its own, not yet read.
#[derive(Debug)]
pub struct Letter {
    /// Its offset.
    pub offset: i64,
    /// Its key, if it has one.
    pub key: Option<Vec<u8>>,
    /// Its headers, but for those whose names are no UTF-8.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// `None` for a tombstone.
    pub payload: Option<Vec<u8>>,
}

impl Letter {
    /// Copies a message.
    pub fn from_kafka(message: &BorrowedMessage<'_>) -> Self {
        Self {
            offset: message.offset(),
            key: message.key().map(<[u8]>::to_vec),
            headers: message.headers().map(headers).unwrap_or_default(),
            payload: message.payload().map(<[u8]>::to_vec),
        }
    }

    /// What the letter says.
    pub fn read(&self) -> Result<Event, InvalidEvent> {
        let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref()));
        Event::from_kafka(self.key.as_deref(), headers, self.payload.as_deref())
    }

    /// How large it is: key, headers and payload.
    pub fn bytes(&self) -> usize {
        let size = |part: &Option<Vec<u8>>| part.as_ref().map_or(0, Vec::len);
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + size(value)).sum();
        size(&self.key) + headers + size(&self.payload)
    }

    /// When what it tells of happened, as it says itself.
    pub(crate) fn time(&self) -> Option<Timestamp> {
        let (_, value) = self.headers.iter().find(|(name, _)| name == "ce_time")?;
        std::str::from_utf8(value.as_deref()?).ok()?.parse().ok()
    }

    /// The letter's `traceparent`, when it looks like one.
    pub(crate) fn traceparent(&self) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(name, _)| name == "traceparent")?;
        let text = std::str::from_utf8(value.as_deref()?).ok()?;
        (text.len() <= 128 && text.bytes().all(|byte| byte.is_ascii_graphic())).then_some(text)
    }
}

/// Copies the headers, without those whose names are no UTF-8: rdkafka panics on them (`BorrowedHeaders::try_get`
/// unwraps), and such a letter must not take the consumer with it. No header that matters has such a name.
fn headers<H: Headers>(headers: &H) -> Vec<(String, Option<Vec<u8>>)> {
    (0..headers.count())
        .filter_map(|index| {
            catch_unwind(AssertUnwindSafe(|| {
                let header = headers.get(index);
                (header.key.to_owned(), header.value.map(<[u8]>::to_vec))
            }))
            .ok()
        })
        .collect()
}
