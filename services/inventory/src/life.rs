//! The life of a reservation: its states, the ways between them, and where the pieces go on each. No I/O.
//!
//! ```text
//!              Settle            TakeBack
//!      HELD ───────────► SETTLED ─────────► RETURNED
//!       │ Release
//!       └──────────────► RELEASED                       REFUSED
//! ```

use std::fmt;

/// Where a reservation is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Its pieces are reserved.
    Held,
    /// It never got any.
    Refused,
    /// It gave its pieces back, or was released before it got any.
    Released,
    /// Its pieces are sold.
    Settled,
    /// Its pieces were sold and came back.
    Returned,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Held, Self::Refused, Self::Released, Self::Settled, Self::Returned];

    /// The word that the database knows it by.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Held => "HELD",
            Self::Refused => "REFUSED",
            Self::Released => "RELEASED",
            Self::Settled => "SETTLED",
            Self::Returned => "RETURNED",
        }
    }

    /// The state with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.word().fmt(f)
    }
}

/// A way from one state to the next. There is no way back to an earlier state, so each is gone at most once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The order is given up.
    Release,
    /// The order is completed.
    Settle,
    /// The order was completed and is cancelled.
    TakeBack,
}

/// What a step adds to each count of a product, in pieces per piece of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flow {
    pub available: i64,
    pub reserved: i64,
    pub sold: i64,
}

impl Step {
    /// The one state that it leaves.
    pub const fn from(self) -> State {
        match self {
            Self::Release | Self::Settle => State::Held,
            Self::TakeBack => State::Settled,
        }
    }

    /// The state that it reaches.
    pub const fn to(self) -> State {
        match self {
            Self::Release => State::Released,
            Self::Settle => State::Settled,
            Self::TakeBack => State::Returned,
        }
    }

    /// Where the pieces go.
    pub const fn flow(self) -> Flow {
        match self {
            Self::Release => Flow { available: 1, reserved: -1, sold: 0 },
            Self::Settle => Flow { available: 0, reserved: -1, sold: 1 },
            Self::TakeBack => Flow { available: 1, reserved: 0, sold: -1 },
        }
    }
}

/// Whether a step changed anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// By this call.
    Now,
    /// It was done before, or there was nothing to do it to.
    Before,
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: [Step; 3] = [Step::Release, Step::Settle, Step::TakeBack];

    #[test]
    fn no_step_makes_or_loses_a_piece() {
        for step in STEPS {
            let Flow { available, reserved, sold } = step.flow();
            assert_eq!(available + reserved + sold, 0, "{step:?}");
        }
    }

    #[test]
    fn pieces_leave_the_count_of_one_state_and_reach_that_of_the_next() {
        let count_of = |state| match state {
            State::Held => Flow { available: 0, reserved: 1, sold: 0 },
            State::Settled => Flow { available: 0, reserved: 0, sold: 1 },
            State::Refused | State::Released | State::Returned => Flow { available: 1, reserved: 0, sold: 0 },
        };
        for step in STEPS {
            let (before, after, flow) = (count_of(step.from()), count_of(step.to()), step.flow());
            assert_eq!(before.available + flow.available, after.available, "{step:?}");
            assert_eq!(before.reserved + flow.reserved, after.reserved, "{step:?}");
            assert_eq!(before.sold + flow.sold, after.sold, "{step:?}");
        }
    }

    #[test]
    fn every_state_has_its_own_word() {
        for state in State::ALL {
            assert_eq!(State::from_word(state.word()), Some(state));
        }
        assert_eq!(State::from_word("held"), None);
    }
}
