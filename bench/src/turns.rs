//! How often the sides of a comparison take turns, and for how long.

use std::time::Duration;

use clap::Args;
use serde::Serialize;

/// Of one comparison.
#[derive(Debug, Clone, Copy, Args, Serialize)]
pub struct Turns {
    /// How often each slice comes.
    #[arg(long, default_value = "5", value_name = "N", value_parser = clap::value_parser!(u8).range(1..=50))]
    cycles: u8,

    /// How long a slice is, in seconds.
    #[arg(long, default_value = "3", value_name = "SECONDS", value_parser = clap::value_parser!(u8).range(1..=60))]
    slice: u8,

    /// To see that it works: each slice once, for 2 s.
    #[arg(long, conflicts_with_all = ["cycles", "slice"])]
    quick: bool,
}

impl Turns {
    /// The cycles, counted from 0.
    pub fn cycles(self) -> std::ops::Range<u8> {
        0..if self.quick { 1 } else { self.cycles }
    }

    /// How long a slice is.
    pub fn length(self) -> Duration {
        Duration::from_secs(if self.quick { 2 } else { self.slice.into() })
    }

    /// Whether it is only to be seen that it works.
    pub fn is_quick(self) -> bool {
        self.quick
    }
}

/// Both, the one first that was second the cycle before: what comes second finds the machine as the other left it.
pub fn in_turns<T>(cycle: u8, one: T, other: T) -> [T; 2] {
    if cycle.is_multiple_of(2) { [one, other] } else { [other, one] }
}
