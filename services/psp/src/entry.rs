//! What the books consist of: one entry for each change of a charge.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{amount::Amount, card::CardToken, reference::Reference};

/// One line of the books: what happened to which charge, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// When, by this network's clock; never earlier than the entry before.
    pub at: Timestamp,
    /// The charge.
    pub merchant_reference: Reference,
    /// What happened.
    pub change: Change,
}

/// What happened to a charge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It was asked for, and there is no outcome yet.
    Asked(Terms),
    /// The amount was taken.
    Captured(Terms),
    /// The card was declined.
    Declined(Terms),
    /// No such card.
    UnknownCard(Terms),
    /// Nothing may be captured any more; what was captured is given back.
    Voided,
    /// A part of the captured amount was given back.
    Refunded(Refund),
}

/// What is charged to which card. One reference has one set of terms for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// The amount.
    pub amount: Amount,
    /// The card.
    pub card_token: CardToken,
}

/// One giving back of a part of a capture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refund {
    /// The caller's name for this refund; one name, one refund.
    pub refund_reference: Reference,
    /// How much, in the currency of the capture.
    pub amount: Amount,
}
