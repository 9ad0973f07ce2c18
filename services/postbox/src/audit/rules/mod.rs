//! The checks. Those that are about one order at a time are functions of its [`Case`]; the others ask the sources.

pub mod acknowledged;
pub mod effects;
pub mod keys;
pub mod ledger;
pub mod letters;
pub mod money;
pub mod overload;
pub mod ownership;
pub mod poison;
pub mod reservations;
pub mod stock;
pub mod terminal;
pub mod unfinished;

use std::collections::BTreeMap;

use super::case::Case;
use super::finding::Finding;
use super::marks::Marks;
use super::promises::Promise;

/// What a look has read before it comes to the first order.
#[derive(Debug)]
pub struct Desk {
    /// How far everybody had come.
    pub marks: Marks,
    /// By topic: since when history can be judged, in seconds since 1970; 0: since ever.
    pub since: BTreeMap<u8, f64>,
}

impl Desk {
    /// Since when what was written for this topic, and what was put there, can be judged.
    pub fn since(&self, topic: u8) -> f64 {
        self.since.get(&topic).copied().unwrap_or_default()
    }
}

/// A check of one order.
#[derive(Clone, Copy)]
pub struct CaseRule {
    pub promise: Promise,
    pub check: fn(&Case, &Desk, &mut Finding),
}

/// All of them.
pub const CASE_RULES: [CaseRule; 10] = [
    CaseRule { promise: Promise::ONE_KEY, check: keys::answer_is_the_orders },
    CaseRule { promise: Promise::ONE_CAPTURE, check: money::captured_once },
    CaseRule { promise: Promise::TIMEOUT, check: money::kept_as_decided },
    CaseRule { promise: Promise::REFUNDS, check: money::given_back_once },
    CaseRule { promise: Promise::RESERVATIONS, check: reservations::ended_once },
    CaseRule { promise: Promise::TERMINAL, check: terminal::ended_in_time },
    CaseRule { promise: Promise::EVENT_AND_CHANGE, check: letters::changes_and_events },
    CaseRule { promise: Promise::PUBLISHED, check: letters::published_in_order },
    CaseRule { promise: Promise::ONE_EFFECT, check: effects::one_each },
    CaseRule { promise: Promise::LEDGER, check: ledger::agrees_with_the_network },
];
