//! A message, as the customer sees it who got it.

use contracts::{notification::v1::Message, timestamp_from_proto};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// What a customer was told, and about what.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Message")]
pub struct MessageJson {
    message_id: String,
    order_id: String,
    event_type: String,
    subject: String,
    body: String,
    created_at: Option<Timestamp>,
    /// Null until it was sent.
    sent_at: Option<Timestamp>,
}

impl From<Message> for MessageJson {
    fn from(message: Message) -> Self {
        let Message { message_id, order_id, event_type, subject, body, created_at, sent_at } = message;
        Self {
            message_id,
            order_id,
            event_type,
            subject,
            body,
            created_at: created_at.as_ref().and_then(timestamp_from_proto),
            sent_at: sent_at.as_ref().and_then(timestamp_from_proto),
        }
    }
}
