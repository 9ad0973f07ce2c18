//! What a payment is, and the table of everything that can happen to it.
//!
//! The card network alone knows what was captured. A payment therefore moves on what the network *answered*; no answer
//! ([`Fact::NoAnswer`]) moves nothing, and a timeout is never taken for a decline.

use contracts::{ids::OrderId, money::Money};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

/// Where a payment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Nobody has asked for anything yet: there is no row.
    Unasked,
    /// May be charged: the network was asked, or is about to be. Until it answers, nobody knows.
    Attempting,
    /// The network took the amount.
    Captured,
    /// The network declined the card.
    Declined,
    /// The network does not know the card.
    UnknownCard,
    /// Must not be charged any more; the network has not confirmed that yet.
    Voiding,
    /// Nothing is captured, and nothing ever will be. Final.
    Voided,
    /// What was captured is to be given back; the network has not confirmed that yet.
    Refunding,
    /// What was captured was given back, and nothing ever will be captured again. Final.
    Refunded,
}

/// What happens to a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fact {
    /// Somebody asks to charge.
    ChargeAsked,
    /// Somebody asks to void.
    VoidAsked,
    /// Somebody asks to refund.
    RefundAsked,
    /// The network answered a charge: captured.
    NetworkCaptured,
    /// The network answered a charge: declined.
    NetworkDeclined,
    /// The network answered a charge: no such card.
    NetworkUnknownCard,
    /// The network answered a charge: the reference is voided.
    NetworkRefusedVoided,
    /// The network answered a void, and nothing had been captured.
    NetworkVoidedNothing,
    /// The network answered a void, and gave back what had been captured.
    NetworkVoidedCapture,
    /// The network answered a refund: given back, now or before.
    NetworkRefunded,
    /// The network answered a refund: it holds less than that, or has given it back otherwise.
    NetworkRefusedRefund,
    /// The network did not answer, or not so that it can be understood.
    NoAnswer,
}

/// A fact, with what the network told beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// The fact.
    pub fact: Fact,
    /// When the amount was captured, if it was.
    pub captured_at: Option<Timestamp>,
    /// The network's word for why it declined, if it did.
    pub decline_reason: Option<String>,
}

impl From<Fact> for Heard {
    fn from(fact: Fact) -> Self {
        Self { fact, captured_at: None, decline_reason: None }
    }
}

/// What a fact means for a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Commit this state, and this in the ledger.
    Advance(State, Posting),
    /// Nothing to commit. What the state still waits for is asked again.
    Stay,
    /// The network says what cannot be: change nothing and tell a person.
    Contradiction,
}

/// What a change of state means for the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Posting {
    /// No money moved.
    Nothing,
    /// The capture.
    Capture,
    /// The capture, unless it stands there already, and its reversal.
    CaptureAndReversal,
    /// The refund; the capture stands there already.
    Refund,
}

/// The table: what `fact` means for a payment in `state`.
///
/// A charge is voided or refunded, never both: who asks for the other meanwhile is told that the one is under way. So
/// money is given back once.
#[expect(clippy::match_same_arms, reason = "a table is read state by state")]
pub const fn next(state: State, fact: Fact) -> Step {
    use Fact::{
        ChargeAsked, NetworkCaptured, NetworkDeclined, NetworkRefunded, NetworkRefusedRefund, NetworkRefusedVoided,
        NetworkUnknownCard, NetworkVoidedCapture, NetworkVoidedNothing, NoAnswer, RefundAsked, VoidAsked,
    };
    use Posting::{Capture, CaptureAndReversal, Nothing, Refund};
    use State::{Attempting, Captured, Declined, Refunded, Refunding, Unasked, UnknownCard, Voided, Voiding};
    use Step::{Advance, Contradiction, Stay};

    match (state, fact) {
        (Unasked, ChargeAsked) => Advance(Attempting, Nothing),
        // the tombstone: a charge that comes later finds it
        (Unasked, VoidAsked) => Advance(Voiding, Nothing),
        (Unasked, RefundAsked | NoAnswer) => Stay,
        // the network is never called before the row is there
        (Unasked, NetworkCaptured | NetworkDeclined | NetworkUnknownCard | NetworkRefusedVoided) => Contradiction,
        (Unasked, NetworkVoidedNothing | NetworkVoidedCapture) => Contradiction,
        (Unasked, NetworkRefunded | NetworkRefusedRefund) => Contradiction,

        (Attempting, ChargeAsked) => Stay,
        (Attempting, VoidAsked) => Advance(Voiding, Nothing),
        // whether there is anything to give back is not known yet; a void settles that, too
        (Attempting, RefundAsked) => Stay,
        (Attempting, NetworkCaptured) => Advance(Captured, Capture),
        (Attempting, NetworkDeclined) => Advance(Declined, Nothing),
        (Attempting, NetworkUnknownCard) => Advance(UnknownCard, Nothing),
        // voided by somebody else: a void of ours would have made it VOIDING first. It is ours to confirm
        (Attempting, NetworkRefusedVoided) => Advance(Voiding, Nothing),
        (Attempting, NoAnswer) => Stay,
        (Attempting, NetworkVoidedNothing | NetworkVoidedCapture) => Contradiction,
        (Attempting, NetworkRefunded | NetworkRefusedRefund) => Contradiction,

        (Captured, ChargeAsked | NetworkCaptured | NoAnswer) => Stay,
        (Captured, VoidAsked) => Advance(Voiding, Nothing),
        (Captured, RefundAsked) => Advance(Refunding, Nothing),
        (Captured, NetworkDeclined | NetworkUnknownCard | NetworkRefusedVoided) => Contradiction,
        (Captured, NetworkVoidedNothing | NetworkVoidedCapture) => Contradiction,
        (Captured, NetworkRefunded | NetworkRefusedRefund) => Contradiction,

        (Declined, ChargeAsked | NetworkDeclined | NoAnswer) => Stay,
        (Declined, VoidAsked) => Advance(Voiding, Nothing),
        (Declined, RefundAsked) => Stay,
        (Declined, NetworkCaptured | NetworkUnknownCard | NetworkRefusedVoided) => Contradiction,
        (Declined, NetworkVoidedNothing | NetworkVoidedCapture) => Contradiction,
        (Declined, NetworkRefunded | NetworkRefusedRefund) => Contradiction,

        (UnknownCard, ChargeAsked | NetworkUnknownCard | NoAnswer) => Stay,
        (UnknownCard, VoidAsked) => Advance(Voiding, Nothing),
        (UnknownCard, RefundAsked) => Stay,
        (UnknownCard, NetworkCaptured | NetworkDeclined | NetworkRefusedVoided) => Contradiction,
        (UnknownCard, NetworkVoidedNothing | NetworkVoidedCapture) => Contradiction,
        (UnknownCard, NetworkRefunded | NetworkRefusedRefund) => Contradiction,

        // a refund does not overtake a void, which gives back as well
        (Voiding, ChargeAsked | VoidAsked | RefundAsked | NoAnswer) => Stay,
        // a charge that was under way; the answer to the void tells whether it captured
        (Voiding, NetworkCaptured | NetworkDeclined | NetworkUnknownCard | NetworkRefusedVoided) => Stay,
        (Voiding, NetworkVoidedNothing) => Advance(Voided, Nothing),
        (Voiding, NetworkVoidedCapture) => Advance(Voided, CaptureAndReversal),
        (Voiding, NetworkRefunded | NetworkRefusedRefund) => Contradiction,

        (Voided, ChargeAsked | VoidAsked | RefundAsked | NoAnswer) => Stay,
        // calls that were under way when another one was answered
        (Voided, NetworkCaptured | NetworkDeclined | NetworkUnknownCard | NetworkRefusedVoided) => Stay,
        (Voided, NetworkVoidedNothing | NetworkVoidedCapture) => Stay,
        (Voided, NetworkRefunded | NetworkRefusedRefund) => Contradiction,

        // a void does not overtake a refund: it would be a second way to give the same money back
        (Refunding, ChargeAsked | VoidAsked | RefundAsked | NoAnswer) => Stay,
        // a charge that was asked for twice, and whose second answer was slow
        (Refunding, NetworkCaptured) => Stay,
        (Refunding, NetworkDeclined | NetworkUnknownCard | NetworkRefusedVoided) => Contradiction,
        (Refunding, NetworkVoidedNothing | NetworkVoidedCapture) => Contradiction,
        (Refunding, NetworkRefunded) => Advance(Refunded, Refund),
        // it has captured the amount, and we have not asked for any of it back in another way
        (Refunding, NetworkRefusedRefund) => Contradiction,

        (Refunded, ChargeAsked | VoidAsked | RefundAsked | NoAnswer) => Stay,
        // calls that were under way when another one was answered
        (Refunded, NetworkCaptured | NetworkRefunded) => Stay,
        (Refunded, NetworkDeclined | NetworkUnknownCard | NetworkRefusedVoided) => Contradiction,
        (Refunded, NetworkVoidedNothing | NetworkVoidedCapture) => Contradiction,
        (Refunded, NetworkRefusedRefund) => Contradiction,
    }
}

/// The payment of one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// The order; also the reference under which the network knows the charge.
    pub order_id: OrderId,
    /// Where it stands.
    pub state: State,
    /// Counts the changes.
    pub version: i64,
    /// What is charged to which card; `None` when it was voided before anybody asked to charge.
    pub terms: Option<Terms>,
    /// When the network captured, by its clock.
    pub captured_at: Option<Timestamp>,
    /// The network's word for why it declined.
    pub decline_reason: Option<String>,
}

/// What is charged to which card. One order has one set of terms for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The amount.
    pub amount: Money,
    /// Which card.
    pub card: CardFingerprint,
}

/// Tells one card from another within one order. The card token cannot be read out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardFingerprint(pub Vec<u8>);

impl CardFingerprint {
    /// The fingerprint of the card behind `card_token`, for this order only.
    pub fn new(order_id: OrderId, card_token: &CardToken) -> Self {
        let mut hash = Sha256::new();
        hash.update(order_id.as_uuid().as_bytes());
        hash.update(card_token.as_str());
        Self(hash.finalize().to_vec())
    }
}

/// What the network knows a card by. It is handed on and never stored or logged.
#[derive(Clone, PartialEq, Eq)]
pub struct CardToken(String);

/// Not 1 to 64 printable ASCII characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a card token is 1 to 64 printable ASCII characters without spaces")]
pub struct InvalidCardToken;

impl CardToken {
    /// The longest token, in characters.
    pub const LENGTH_MAX: usize = 64;

    /// The token as the network wants it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for CardToken {
    type Error = InvalidCardToken;

    fn try_from(text: String) -> Result<Self, InvalidCardToken> {
        let right = (1..=Self::LENGTH_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if right { Ok(Self(text)) } else { Err(InvalidCardToken) }
    }
}

impl std::fmt::Debug for CardToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CardToken(…)")
    }
}

#[cfg(test)]
mod tests;
