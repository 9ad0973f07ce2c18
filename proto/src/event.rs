//! The envelope of a letter: CloudEvents 1.0 in the binary mode of its Kafka binding.
//!
//! Attributes are headers (`ce_id`, `ce_type`, …), the value is the payload in protobuf, the key is the aggregate's
//! id. Source: CloudEvents 1.0.2, "Kafka Protocol Binding", section 3.2.

use jiff::Timestamp;
use prost::Message;
use uuid::Uuid;

use crate::{events::v1 as payloads, topics::Topic};

/// The content type of every payload.
pub const CONTENT_TYPE: &str = "application/protobuf";

/// One letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// `ce_id`: names the letter for ever; a repeated letter keeps it.
    pub id: Uuid,
    /// `ce_type`, like `order.completed`.
    pub event_type: String,
    /// `ce_source`, like `/order`.
    pub source: String,
    /// `ce_subject`, and the key: the aggregate's id.
    pub subject: String,
    /// `ce_time`: when it happened.
    pub time: Timestamp,
    /// `ce_sequence`: the aggregate's version after the change, from 1.
    pub sequence: i64,
    /// W3C trace context of the change, when it had one.
    pub traceparent: Option<String>,
    /// The protobuf message.
    pub payload: Vec<u8>,
}

/// A payload, with the type that it travels as.
pub trait Payload: Message + Default {
    /// The `ce_type`.
    const TYPE: &'static str;
}

macro_rules! payload_types {
    ($($message:ident = $event_type:literal;)*) => {
        $(impl Payload for payloads::$message {
            const TYPE: &'static str = $event_type;
        })*
    };
}

payload_types! {
    OrderCreated = "order.created";
    OrderCompleted = "order.completed";
    OrderRejected = "order.rejected";
    OrderCancelling = "order.cancelling";
    OrderCancelled = "order.cancelled";
    OrderPaymentUpdated = "order.payment_updated";
    OrderShipmentUpdated = "order.shipment_updated";
    ReservationHeld = "reservation.held";
    ReservationRefused = "reservation.refused";
    PaymentCaptured = "payment.captured";
    PaymentDeclined = "payment.declined";
    AccountRegistered = "account.registered";
    AccountAddressChanged = "account.address_changed";
    AccountErased = "account.erased";
    ShipmentCreated = "shipment.created";
    ShipmentPrepared = "shipment.prepared";
    ShipmentCancelled = "shipment.cancelled";
    ShipmentDispatched = "shipment.dispatched";
    ShipmentDelivered = "shipment.delivered";
    HighValueOrderCompleted = "high_value_order.completed";
}

/// Why a Kafka message is not a letter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEvent {
    /// A header that every letter has is not there.
    #[error("the header {0} is missing")]
    HeaderMissing(&'static str),
    /// A header is there and wrong.
    #[error("the header {name} cannot be read: {value:?}")]
    HeaderInvalid {
        /// The header.
        name: &'static str,
        /// What it said, shortened.
        value: String,
    },
    /// A tombstone: no letter of ours has one.
    #[error("the value is null")]
    NoPayload,
    /// The key differs from the subject, so the letter may be on the wrong partition.
    #[error("the key is not the subject")]
    KeyIsNotSubject,
    /// The payload is not the message that the type names.
    #[error("the payload is no {event_type}: {detail}")]
    Payload {
        /// The expected type.
        event_type: &'static str,
        /// What the decoder said.
        detail: String,
    },
}

impl Event {
    /// A letter about `subject`, to be written on `topic` with its sequence number.
    pub fn new<P: Payload>(topic: Topic, subject: String, sequence: i64, time: Timestamp, payload: &P) -> Self {
        Self {
            id: Uuid::now_v7(),
            event_type: P::TYPE.to_owned(),
            source: topic.source().to_owned(),
            subject,
            time,
            sequence,
            traceparent: None,
            payload: payload.encode_to_vec(),
        }
    }

    /// The payload as the message that `P` names.
    pub fn decode<P: Payload>(&self) -> Result<P, InvalidEvent> {
        P::decode(self.payload.as_slice())
            .map_err(|error| InvalidEvent::Payload { event_type: P::TYPE, detail: error.to_string() })
    }

    /// The headers of the letter on Kafka.
    pub fn to_headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("ce_specversion", "1.0".to_owned()),
            ("ce_id", self.id.to_string()),
            ("ce_type", self.event_type.clone()),
            ("ce_source", self.source.clone()),
            ("ce_subject", self.subject.clone()),
            ("ce_time", self.time.to_string()),
            ("ce_sequence", self.sequence.to_string()),
            ("content-type", CONTENT_TYPE.to_owned()),
        ];
        if let Some(traceparent) = &self.traceparent {
            headers.push(("traceparent", traceparent.clone()));
        }
        headers
    }

    /// Reads a letter from the parts of a Kafka message. Unknown headers are passed over: an envelope may gain some.
    pub fn from_kafka<'a>(
        key: Option<&[u8]>,
        headers: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>,
        payload: Option<&'a [u8]>,
    ) -> Result<Self, InvalidEvent> {
        let Envelope { id, event_type, source, subject, time, sequence, traceparent, payload } =
            Envelope::read(key, headers, payload)?;
        Ok(Self {
            id,
            event_type: event_type.to_owned(),
            source: source.to_owned(),
            subject: subject.to_owned(),
            time,
            sequence,
            traceparent: traceparent.map(str::to_owned),
            payload: payload.to_vec(),
        })
    }
}

/// A letter as it lies in a Kafka message: what [`Event`] is, and nothing copied.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "see the fields of `Event`")]
pub struct Envelope<'a> {
    pub id: Uuid,
    pub event_type: &'a str,
    pub source: &'a str,
    pub subject: &'a str,
    pub time: Timestamp,
    pub sequence: i64,
    pub traceparent: Option<&'a str>,
    pub payload: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Reads a letter from the parts of a Kafka message. Unknown headers are passed over: an envelope may gain some.
    pub fn read(
        key: Option<&[u8]>,
        headers: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>,
        payload: Option<&'a [u8]>,
    ) -> Result<Self, InvalidEvent> {
        let headers = Headers::collect(headers)?;
        headers.require("ce_specversion", |version| (version == "1.0").then_some(()))?;
        headers.require("content-type", |value| (value == CONTENT_TYPE).then_some(()))?;
        let envelope = Self {
            id: headers.require("ce_id", |text| Uuid::try_parse(text).ok())?,
            event_type: headers.require("ce_type", non_empty)?,
            source: headers.require("ce_source", non_empty)?,
            subject: headers.require("ce_subject", non_empty)?,
            time: headers.require("ce_time", |text| text.parse().ok())?,
            sequence: headers.require("ce_sequence", |text| text.parse().ok().filter(|&number| number > 0))?,
            traceparent: headers.get("traceparent"),
            payload: payload.ok_or(InvalidEvent::NoPayload)?,
        };
        if key != Some(envelope.subject.as_bytes()) {
            return Err(InvalidEvent::KeyIsNotSubject);
        }
        Ok(envelope)
    }
}

/// The headers that an envelope knows, as text.
struct Headers<'a>(Vec<(&'static str, &'a str)>);

impl<'a> Headers<'a> {
    const KNOWN: [&'static str; 9] = [
        "ce_specversion",
        "ce_id",
        "ce_type",
        "ce_source",
        "ce_subject",
        "ce_time",
        "ce_sequence",
        "content-type",
        "traceparent",
    ];

    fn collect(headers: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>) -> Result<Self, InvalidEvent> {
        let mut known = Vec::with_capacity(Self::KNOWN.len());
        for (name, value) in headers {
            let Some(&name) = Self::KNOWN.iter().find(|&&known| known == name) else { continue };
            let value = value.unwrap_or_default();
            let text = std::str::from_utf8(value).map_err(|_| InvalidEvent::HeaderInvalid {
                name,
                value: value.escape_ascii().take(80).map(char::from).collect(),
            })?;
            known.push((name, text));
        }
        Ok(Self(known))
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| *known == name).map(|&(_, value)| value)
    }

    fn require<T>(&self, name: &'static str, parse: impl Fn(&'a str) -> Option<T>) -> Result<T, InvalidEvent> {
        let value = self.get(name).ok_or(InvalidEvent::HeaderMissing(name))?;
        parse(value).ok_or_else(|| InvalidEvent::HeaderInvalid { name, value: value.chars().take(80).collect() })
    }
}

fn non_empty(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topics::ORDERS;

    fn letter() -> Event {
        let payload =
            payloads::OrderCreated { order: Some(crate::order::v1::Order { version: 1, ..Default::default() }) };
        let mut event =
            Event::new(ORDERS, "an-order".to_owned(), 1, "2026-11-21T09:00:00.5Z".parse().unwrap(), &payload);
        event.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
        event
    }

    fn read(event: &Event, headers: &[(&'static str, String)]) -> Result<Event, InvalidEvent> {
        let headers = headers.iter().map(|(name, value)| (*name, Some(value.as_bytes())));
        Event::from_kafka(Some(event.subject.as_bytes()), headers, Some(&event.payload))
    }

    #[test]
    fn a_letter_survives_the_way_through_kafka() {
        let event = letter();
        assert_eq!(read(&event, &event.to_headers()), Ok(event));
    }

    #[test]
    fn unknown_headers_are_passed_over() {
        let event = letter();
        let mut headers = event.to_headers();
        headers.push(("ce_newattribute", "later".to_owned()));
        assert_eq!(read(&event, &headers), Ok(event));
    }

    #[test]
    fn a_letter_without_one_of_its_headers_is_refused_by_that_headers_name() {
        let event = letter();
        for missing in Headers::KNOWN.into_iter().filter(|&name| name != "traceparent") {
            let headers: Vec<_> = event.to_headers().into_iter().filter(|(name, _)| *name != missing).collect();
            assert_eq!(read(&event, &headers), Err(InvalidEvent::HeaderMissing(missing)));
        }
    }

    #[test]
    fn a_tombstone_and_a_foreign_key_are_refused() {
        let event = letter();
        let headers = event.to_headers();
        let headers = || headers.iter().map(|(name, value)| (*name, Some(value.as_bytes())));
        assert_eq!(Event::from_kafka(Some(b"an-order"), headers(), None), Err(InvalidEvent::NoPayload));
        assert_eq!(Event::from_kafka(Some(b"other"), headers(), Some(b"")), Err(InvalidEvent::KeyIsNotSubject));
        assert_eq!(Event::from_kafka(None, headers(), Some(b"")), Err(InvalidEvent::KeyIsNotSubject));
    }

    #[test]
    fn a_payload_that_is_not_its_type_is_refused() {
        let event = Event { payload: vec![0xff; 3], ..letter() };
        assert!(matches!(event.decode::<payloads::OrderCreated>(), Err(InvalidEvent::Payload { .. })));
        assert!(letter().decode::<payloads::OrderCreated>().is_ok());
    }
}
