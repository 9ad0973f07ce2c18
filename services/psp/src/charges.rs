//! All charges, as the books tell them: what each request is answered with, and what it changes. No I/O, no clock.
//!
//! A request is first decided, which reads only, and gives an answer and at most one [`Change`]. The change then goes
//! through [`Charges::apply`], which is also what reads old books at start: there is one way to change a charge.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::{
    amount::Amount,
    card::{Behaviour, FLAKY_FAILURES},
    entry::{Change, Entry, Refund, Terms},
    reference::Reference,
};

/// Every charge that was ever asked for or voided.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Charges {
    by_reference: HashMap<Reference, Charge>,
    /// In the order of capture.
    captured: Vec<Reference>,
    entries: u64,
    latest_entry_at: Timestamp,
}

/// One charge.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Charge {
    /// `None` when it was voided before it was asked for.
    pub terms: Option<Terms>,
    /// How often it was asked for without an outcome; only cards that fail are counted further than 1.
    pub asked: u32,
    /// How it ended, once it did.
    pub outcome: Option<Outcome>,
    /// What was given back.
    pub refunds: Vec<Refund>,
    /// Nothing can be captured any more.
    pub voided: bool,
}

/// How a charge ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The amount was taken at this time.
    Captured(Timestamp),
    /// The card was declined.
    Declined,
    /// No such card.
    UnknownCard,
}

/// What a request to charge is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChargeAnswer {
    /// Captured, now or before.
    Captured,
    /// Declined, now or before.
    Declined,
    /// No such card.
    UnknownCard,
    /// Refused: the reference is voided.
    Voided,
    /// Refused: the reference belongs to a charge of another amount or card.
    OtherTerms,
    /// A fault of this network; asking again helps.
    Fault,
    /// Drop the connection.
    NoReply,
    /// Ask again after [`crate::card::SLOW`].
    Later,
}

/// What a refund is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundAnswer {
    /// Given back, now or before.
    Refunded,
    /// Refused: there is no such charge.
    UnknownCharge,
    /// Refused: the charge captured nothing, or all of it was given back by a void.
    NothingCaptured,
    /// Refused: the refund's reference belongs to a refund of another amount.
    OtherAmount,
    /// Refused: another currency than the capture's.
    OtherCurrency,
    /// Refused: more than is left of the capture.
    MoreThanCaptured,
}

/// An entry that cannot follow the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// A second outcome, or an attempt after the outcome.
    #[error("the charge already has an outcome")]
    AlreadyDecided,
    /// A capture or an attempt after a void.
    #[error("the charge is voided")]
    Voided,
    /// Other terms than before.
    #[error("the charge has another amount or card")]
    OtherTerms,
    /// A refund that may not be.
    #[error("the refund is not covered by a capture")]
    UncoveredRefund,
    /// A time before that of the entry before.
    #[error("its time is before that of the entry before it")]
    BackInTime,
}

impl Charges {
    /// The charge of this reference.
    pub fn find(&self, reference: &Reference) -> Option<&Charge> {
        self.by_reference.get(reference)
    }

    /// How many entries were applied.
    pub const fn entries(&self) -> u64 {
        self.entries
    }

    /// The time of an entry made `now`: a clock that was set back must not put captures before ones already listed.
    pub fn entry_time(&self, now: Timestamp) -> Timestamp {
        now.max(self.latest_entry_at)
    }

    /// The number of the first capture at or after `since`, counted from 0 in the order of capture.
    pub fn first_capture_since(&self, since: Timestamp) -> usize {
        self.captured.partition_point(|reference| self.by_reference[reference].captured_at() < Some(since))
    }

    /// At most `limit` captures from number `first` on, in the order of capture.
    pub fn captures_from(&self, first: usize, limit: usize) -> impl Iterator<Item = (&Reference, &Charge)> {
        self.captured.iter().skip(first).take(limit).map(|reference| (reference, &self.by_reference[reference]))
    }

    /// How many captures there are.
    pub const fn captures(&self) -> usize {
        self.captured.len()
    }

    /// Decides a request to charge. `waited` is true when the slow card has taken its time.
    pub fn charge(&self, reference: &Reference, terms: &Terms, waited: bool) -> (ChargeAnswer, Option<Change>) {
        let nothing = Charge::default();
        let charge = self.find(reference).unwrap_or(&nothing);
        if charge.voided {
            return (ChargeAnswer::Voided, None);
        }
        if charge.terms.as_ref().is_some_and(|known| known != terms) {
            return (ChargeAnswer::OtherTerms, None);
        }
        match charge.outcome {
            Some(Outcome::Captured(_)) => return (ChargeAnswer::Captured, None),
            Some(Outcome::Declined) => return (ChargeAnswer::Declined, None),
            Some(Outcome::UnknownCard) => return (ChargeAnswer::UnknownCard, None),
            None => {}
        }
        let asked = || Some(Change::Asked(terms.clone()));
        let asked_first = || if charge.asked == 0 { asked() } else { None };
        let capture = || Some(Change::Captured(terms.clone()));
        match terms.card_token.behaviour() {
            Behaviour::CapturesSlowly if !waited => (ChargeAnswer::Later, asked_first()),
            Behaviour::FailsThenCaptures if charge.asked < FLAKY_FAILURES => (ChargeAnswer::Fault, asked()),
            Behaviour::Captures | Behaviour::CapturesSlowly | Behaviour::FailsThenCaptures => {
                (ChargeAnswer::Captured, capture())
            }
            Behaviour::CapturesWithoutReply => (ChargeAnswer::NoReply, capture()),
            Behaviour::NeverReplies => (ChargeAnswer::NoReply, asked_first()),
            Behaviour::Declines => (ChargeAnswer::Declined, Some(Change::Declined(terms.clone()))),
            Behaviour::Unknown => (ChargeAnswer::UnknownCard, Some(Change::UnknownCard(terms.clone()))),
        }
    }

    /// Decides a request to void. Any reference can be voided, also one that was never charged.
    pub fn void(&self, reference: &Reference) -> Option<Change> {
        let voided = self.find(reference).is_some_and(|charge| charge.voided);
        (!voided).then_some(Change::Voided)
    }

    /// Decides a request to refund.
    pub fn refund(&self, reference: &Reference, refund: &Refund) -> (RefundAnswer, Option<Change>) {
        let Some(charge) = self.find(reference) else { return (RefundAnswer::UnknownCharge, None) };
        if let Some(known) = charge.refunds.iter().find(|known| known.refund_reference == refund.refund_reference) {
            let same = known.amount == refund.amount;
            return (if same { RefundAnswer::Refunded } else { RefundAnswer::OtherAmount }, None);
        }
        match charge.left_to_refund() {
            None => (RefundAnswer::NothingCaptured, None),
            Some(left) if left.currency() != refund.amount.currency() => (RefundAnswer::OtherCurrency, None),
            Some(left) if left.minor() < refund.amount.minor() => (RefundAnswer::MoreThanCaptured, None),
            Some(_) => (RefundAnswer::Refunded, Some(Change::Refunded(refund.clone()))),
        }
    }

    /// Takes an entry into account.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), Contradiction> {
        if entry.at < self.latest_entry_at {
            return Err(Contradiction::BackInTime);
        }
        let charge = self.by_reference.entry(entry.merchant_reference.clone()).or_default();
        charge.apply(entry)?;
        if matches!(entry.change, Change::Captured(_)) {
            self.captured.push(entry.merchant_reference.clone());
        }
        self.latest_entry_at = entry.at;
        self.entries += 1;
        Ok(())
    }
}

impl Charge {
    /// When the amount was captured, if it was.
    pub fn captured_at(&self) -> Option<Timestamp> {
        match self.outcome {
            Some(Outcome::Captured(at)) => Some(at),
            Some(Outcome::Declined | Outcome::UnknownCard) | None => None,
        }
    }

    /// The sum of the refunds, in minor units.
    pub fn refunded_minor(&self) -> u64 {
        self.refunds.iter().map(|refund| refund.amount.minor()).sum()
    }

    /// What can still be refunded; `None` when nothing was captured, or a void gave back the rest.
    fn left_to_refund(&self) -> Option<Amount> {
        let captured = self.terms.as_ref().filter(|_| self.captured_at().is_some() && !self.voided)?.amount;
        Some(captured.with_minor(captured.minor() - self.refunded_minor()))
    }

    fn apply(&mut self, entry: &Entry) -> Result<(), Contradiction> {
        match &entry.change {
            Change::Asked(terms) => {
                self.accept(terms)?;
                self.asked += 1;
            }
            Change::Captured(terms) => {
                self.accept(terms)?;
                self.outcome = Some(Outcome::Captured(entry.at));
            }
            Change::Declined(terms) => {
                self.accept(terms)?;
                self.outcome = Some(Outcome::Declined);
            }
            Change::UnknownCard(terms) => {
                self.accept(terms)?;
                self.outcome = Some(Outcome::UnknownCard);
            }
            Change::Voided => self.voided = true,
            Change::Refunded(refund) => {
                let left = self.left_to_refund().ok_or(Contradiction::UncoveredRefund)?;
                if left.currency() != refund.amount.currency() || left.minor() < refund.amount.minor() {
                    return Err(Contradiction::UncoveredRefund);
                }
                self.refunds.push(refund.clone());
            }
        }
        Ok(())
    }

    /// Keeps the terms of a charge that may still get its outcome.
    fn accept(&mut self, terms: &Terms) -> Result<(), Contradiction> {
        if self.voided {
            return Err(Contradiction::Voided);
        }
        if self.outcome.is_some() {
            return Err(Contradiction::AlreadyDecided);
        }
        if self.terms.get_or_insert_with(|| terms.clone()) != terms {
            return Err(Contradiction::OtherTerms);
        }
        Ok(())
    }
}
