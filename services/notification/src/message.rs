//! A message to a customer, as it is written, sent and listed. No I/O.

use contracts::{
    ids::{AccountId, OrderId},
    notification::v1 as proto,
    timestamp_to_proto,
};
use jiff::Timestamp;
use uuid::Uuid;

use crate::text::Text;

/// What a letter makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewMessage {
    /// The id of the letter.
    pub id: Uuid,
    /// Whom it is for.
    pub customer: AccountId,
    /// The order that it is about.
    pub order: OrderId,
    /// The type of the letter.
    pub event_type: String,
    /// What is told.
    pub text: Text,
    /// The trace of the letter.
    pub traceparent: Option<String>,
}

/// One that somebody has claimed to send it.
#[derive(Debug, Clone)]
pub(crate) struct DueMessage {
    /// The id of the letter.
    pub id: Uuid,
    /// Whom it is for.
    pub customer: AccountId,
    /// The order that it is about.
    pub order: OrderId,
    /// What is told.
    pub text: Text,
    /// The trace of the letter.
    pub traceparent: Option<String>,
}

/// One as its customer sees it.
#[derive(Debug, Clone)]
pub(crate) struct ListedMessage {
    /// The id of the letter.
    pub id: Uuid,
    /// The order that it is about.
    pub order: OrderId,
    /// The type of the letter.
    pub event_type: String,
    /// What is told.
    pub text: Text,
    /// When it was written, by the database's clock.
    pub created_at: Timestamp,
    /// When it was sent, by the database's clock.
    pub sent_at: Option<Timestamp>,
}

impl From<ListedMessage> for proto::Message {
    fn from(message: ListedMessage) -> Self {
        Self {
            message_id: message.id.to_string(),
            order_id: message.order.to_string(),
            event_type: message.event_type,
            subject: message.text.subject,
            body: message.text.body,
            created_at: Some(timestamp_to_proto(message.created_at)),
            sent_at: message.sent_at.map(timestamp_to_proto),
        }
    }
}
