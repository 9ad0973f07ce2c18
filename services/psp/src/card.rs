//! Card tokens choose what happens, as the test cards of real card networks do.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::reference::{InvalidText, printable_word};

/// How long the slow card takes.
pub const SLOW: Duration = Duration::from_secs(2);

/// How often the flaky card fails under one reference before it captures.
pub const FLAKY_FAILURES: u32 = 2;

/// The token that stands for a card: 1 to 64 printable ASCII characters without spaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct CardToken(String);

impl TryFrom<String> for CardToken {
    type Error = InvalidText;

    fn try_from(text: String) -> Result<Self, InvalidText> {
        printable_word(text).map(Self)
    }
}

/// What a card does when it is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Captures at once.
    Captures,
    /// Captures after [`SLOW`].
    CapturesSlowly,
    /// Fails [`FLAKY_FAILURES`] times, then captures.
    FailsThenCaptures,
    /// Captures, and the connection drops instead of the answer; asked again, it answers.
    CapturesWithoutReply,
    /// Never captures, never answers.
    NeverReplies,
    /// Declines.
    Declines,
    /// The network does not know the card.
    Unknown,
}

impl CardToken {
    /// What this card does.
    pub fn behaviour(&self) -> Behaviour {
        match self.0.as_str() {
            "tok_visa" => Behaviour::Captures,
            "tok_slow_2s" => Behaviour::CapturesSlowly,
            "tok_flaky" => Behaviour::FailsThenCaptures,
            "tok_charged_no_reply" => Behaviour::CapturesWithoutReply,
            "tok_no_reply" => Behaviour::NeverReplies,
            "tok_declined" | "tok_insufficient_funds" => Behaviour::Declines,
            _ => Behaviour::Unknown,
        }
    }

    /// Why a card that declines does so.
    pub fn decline_reason(&self) -> &'static str {
        if self.0 == "tok_insufficient_funds" { "insufficient_funds" } else { "declined" }
    }
}
