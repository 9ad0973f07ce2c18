//! What can happen, as proptest draws it: a list of steps, each a command and perhaps a trouble. A step names orders, letters
//! and calls by a number among those that there are when it is its turn; where there is none, nothing happens.

use std::fmt;

use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::{select, subsequence},
};

use crate::{exchange::Fate, line::Moment, platform::Service};

/// What is for sale: SKU, price in minor units, currency.
pub const PRODUCTS: [(&str, i64, &str); 3] = [("cap", 900, "USD"), ("mug", 1250, "EUR"), ("tee", 1990, "EUR")];

/// No product has it.
pub const GHOST: &str = "ghost";

/// A story: what is in stock at first, and what then happens.
#[derive(Debug, Clone)]
pub struct Story {
    /// Pieces of each product.
    pub pieces: Vec<i64>,
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Debug, Clone)]
pub struct Step {
    pub command: Command,
    pub trouble: Option<Trouble>,
}

/// What somebody does.
#[derive(Debug, Clone)]
pub enum Command {
    /// A customer places an order.
    Place(Wish),
    /// He sends the same request again, or one of another body with the same key.
    PlaceAgain { order: u8, other_body: bool },
    /// He cancels it, with one of two keys.
    Cancel { order: u8, key: u8 },
    /// An operator sends a parcel on its way.
    Dispatch { parcel: u8 },
    /// Time passes for a parcel: it leaves, or arrives.
    MoveParcel { parcel: u8 },
    /// A delivery of so many pieces arrives, under one of three keys.
    Restock { key: u8, product: u8, pieces: u8 },
    /// The next letters of some keys are read, in one transaction.
    Deliver { letter: u8, batch: u8 },
    /// A letter that was read before is read again.
    Redeliver { letter: u8 },
    /// Payment charges an order that came by letter.
    Charge { order: u8 },
    /// Shipping asks for the address of an order.
    AskAddress { order: u8 },
    /// Recovery takes up an order, perhaps after its time is over.
    Recover { order: u8, overdue: bool },
    /// A call that is late arrives.
    LetGo { call: u8 },
}

impl Command {
    /// Whether somebody asks somebody else meanwhile, so that a call may go wrong.
    const fn makes_calls(&self) -> bool {
        match self {
            Self::Place(_)
            | Self::PlaceAgain { .. }
            | Self::Cancel { .. }
            | Self::Dispatch { .. }
            | Self::Charge { .. }
            | Self::AskAddress { .. }
            | Self::Recover { .. }
            | Self::LetGo { .. } => true,
            Self::MoveParcel { .. } | Self::Restock { .. } | Self::Deliver { .. } | Self::Redeliver { .. } => false,
        }
    }
}

/// What an order asks for.
#[derive(Clone, PartialEq, Eq)]
pub struct Wish {
    /// SKUs and pieces.
    pub lines: Vec<(&'static str, u32)>,
    pub card: Card,
    pub by_letter: bool,
}

/// The cards of the stand-in network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Card {
    Good,
    Declined,
    Unknown,
    /// Captures and does not say so at first.
    NoFirstReply,
    /// Fails twice, then captures.
    Flaky,
    /// Never captures, never says anything.
    NeverReplies,
}

impl Card {
    pub const fn token(self) -> &'static str {
        match self {
            Self::Good => "tok_visa",
            Self::Declined => "tok_declined",
            Self::Unknown => "tok_nobody_knows",
            Self::NoFirstReply => "tok_charged_no_reply",
            Self::Flaky => "tok_flaky",
            Self::NeverReplies => "tok_no_reply",
        }
    }
}

/// What goes wrong meanwhile.
#[derive(Debug, Clone)]
pub enum Trouble {
    /// So many calls pass, then one meets its fate.
    Call(u8, Fate),
    /// After so many statements a process dies.
    Death(Service, u8, Moment),
}

/// Stories of so many steps at most.
pub fn stories(steps_max: usize) -> impl Strategy<Value = Story> {
    (vec(prop_oneof![1 => 0..6_i64, 2 => 6..30_i64], PRODUCTS.len()), vec(steps(), 1..=steps_max))
        .prop_map(|(pieces, steps)| Story { pieces, steps })
}

fn steps() -> impl Strategy<Value = Step> {
    let moments = prop_oneof![Just(Moment::Before), Just(Moment::After)];
    // what recovery asks for is one call and another behind it, what a customer asks for is four
    let calls = prop_oneof![2 => Just(0), 3 => 1..4_u8];
    let trouble = prop_oneof![
        3 => (calls, fates()).prop_map(|(calls, fate)| Trouble::Call(calls, fate)),
        2 => (select(&Service::ALL[..]), 0..9_u8, moments)
            .prop_map(|(service, statements, moment)| Trouble::Death(service, statements, moment)),
    ];
    (commands(), option::weighted(0.6, trouble)).prop_map(|(command, trouble)| {
        let trouble = trouble.filter(|trouble| command.makes_calls() || matches!(trouble, Trouble::Death(..)));
        Step { command, trouble }
    })
}

fn fates() -> impl Strategy<Value = Fate> {
    prop_oneof![
        2 => Just(Fate::AnswerLost),
        1 => Just(Fate::RequestLost),
        2 => Just(Fate::RequestHeld),
        2 => Just(Fate::AnswerHeld),
    ]
}

fn commands() -> impl Strategy<Value = Command> {
    // mostly about what is newest: that is where something is under way
    let number = || prop_oneof![3 => Just(0), 2 => Just(1), 2 => any::<u8>()];
    prop_oneof![
        6 => wishes().prop_map(Command::Place),
        2 => (number(), prop::bool::weighted(0.3))
            .prop_map(|(order, other_body)| Command::PlaceAgain { order, other_body }),
        6 => (number(), 0..2_u8).prop_map(|(order, key)| Command::Cancel { order, key }),
        1 => number().prop_map(|parcel| Command::Dispatch { parcel }),
        1 => number().prop_map(|parcel| Command::MoveParcel { parcel }),
        1 => (0..3_u8, 0..3_u8, 1..4_u8).prop_map(|(key, product, pieces)| Command::Restock { key, product, pieces }),
        12 => (any::<u8>(), 1..4_u8).prop_map(|(letter, batch)| Command::Deliver { letter, batch }),
        4 => any::<u8>().prop_map(|letter| Command::Redeliver { letter }),
        4 => number().prop_map(|order| Command::Charge { order }),
        3 => number().prop_map(|order| Command::AskAddress { order }),
        7 => (number(), prop::bool::weighted(0.4)).prop_map(|(order, overdue)| Command::Recover { order, overdue }),
        3 => number().prop_map(|call| Command::LetGo { call }),
    ]
}

fn wishes() -> impl Strategy<Value = Wish> {
    let skus = prop_oneof![
        20 => subsequence(vec!["mug", "tee"], 1..=2),
        1 => Just(vec!["cap"]),
        1 => Just(vec!["mug", "cap"]),
        1 => Just(vec!["tee", GHOST]),
    ];
    let lines = skus.prop_shuffle().prop_flat_map(|skus| {
        let count = skus.len();
        vec(1..4_u32, count).prop_map(move |pieces| skus.iter().copied().zip(pieces).collect::<Vec<_>>())
    });
    let cards = prop_oneof![
        8 => Just(Card::Good),
        2 => Just(Card::Declined),
        1 => Just(Card::Unknown),
        2 => Just(Card::NoFirstReply),
        1 => Just(Card::Flaky),
        1 => Just(Card::NeverReplies),
    ];
    (lines, cards, any::<bool>()).prop_map(|(lines, card, by_letter)| Wish {
        lines,
        // by letter payment asks such a card for four seconds each time, which no story has
        card: if by_letter && card == Card::NeverReplies { Card::NoFirstReply } else { card },
        by_letter,
    })
}

impl fmt::Debug for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.lines.iter().map(|(sku, pieces)| format!("{pieces} {sku}")).collect();
        let door = if self.by_letter { "by letter" } else { "by telephone" };
        write!(f, "{} {door}, {:?} card", lines.join(" + "), self.card)
    }
}
