//! All that one order is made of, small enough to be hashed, and the sets that messages under way are kept in.

use ::order::saga::{Action, Fact, Refusal};

/// What inventory keeps about the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reservation {
    None,
    Held,
    Refused,
    Released,
    Settled,
    Returned,
}

/// What payment and the card network keep about the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Payment {
    None,
    Captured,
    Declined,
    UnknownCard,
    Voided,
    Refunded,
}

/// What shipping keeps about the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shipment {
    None,
    Preparing,
    Dispatched,
    Stopped,
}

/// How the order came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    Telephone,
    Letter,
}

/// How inventory and the card network are disposed in one search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stock {
    Enough,
    TooLittle,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Card {
    Captures,
    Declines,
    Unknown,
    /// The network takes the charge and never says so; only a void is answered.
    NeverReplies,
    /// The network drops the call without a charge; only a void is answered.
    NeverCharges,
}

/// A process that carries the order on: what it read from the database, and what it believes now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Process {
    pub read: Row,
    pub believes: Position,
}

/// The order's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Row {
    pub position: Position,
    pub version: u8,
    /// Whether it knows that the parcel has left: then a cancel is refused without a change.
    pub knows_dispatched: bool,
}

/// A state, by its place in `State::all`, so that the world can be hashed.
pub type Position = u8;

/// A set of actions, facts or answers, by their places.
pub type Set = u16;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    pub row: Row,
    pub reservation: Reservation,
    pub payment: Payment,
    pub shipment: Shipment,
    pub captures: u8,
    pub refunds: u8,
    pub deadline_passed: bool,
    pub cancels_left: u8,
    /// Whether `order.completed` is written: followers may read it from now on, any number of times.
    pub completed_is_told: bool,
    pub processes: [Option<Process>; 2],
    /// Calls that left and may still arrive, any number of times: a call outlives the process that made it.
    pub calls: Set,
    /// Answers that left and may still be heard, any number of times.
    pub answers: Set,
    /// Letters to order that are written and may be read, any number of times and in any order.
    pub letters: Set,
}

pub const ACTIONS: [Action; 6] =
    [Action::Reserve, Action::Charge, Action::Void, Action::Release, Action::Stop, Action::Refund];

pub const FACTS: [Fact; 12] = [
    Fact::StockHeld,
    Fact::StockRefused(Refusal::OutOfStock),
    Fact::Captured,
    Fact::Declined,
    Fact::CardUnknown,
    Fact::Voided,
    Fact::Released,
    Fact::DeadlinePassed,
    Fact::CancelAsked,
    Fact::Stopped,
    Fact::Dispatched,
    Fact::MoneyReturned,
];

/// What each question may be answered with.
pub const ANSWERS: [(Action, Fact); 12] = [
    (Action::Reserve, Fact::StockHeld),
    (Action::Reserve, Fact::StockRefused(Refusal::OutOfStock)),
    (Action::Reserve, Fact::Released),
    (Action::Charge, Fact::Captured),
    (Action::Charge, Fact::Declined),
    (Action::Charge, Fact::CardUnknown),
    (Action::Charge, Fact::Voided),
    (Action::Void, Fact::Voided),
    (Action::Release, Fact::Released),
    (Action::Stop, Fact::Stopped),
    (Action::Stop, Fact::Dispatched),
    (Action::Refund, Fact::MoneyReturned),
];

pub fn place<T: PartialEq>(all: &[T], one: &T) -> usize {
    all.iter().position(|other| other == one).expect("one of all")
}

pub fn with<T: PartialEq>(set: Set, all: &[T], one: &T) -> Set {
    set | 1 << place(all, one)
}

pub fn members<T: Copy>(set: Set, all: &[T]) -> impl Iterator<Item = T> {
    all.iter().enumerate().filter(move |(place, _)| set & 1 << place != 0).map(|(_, one)| *one)
}
