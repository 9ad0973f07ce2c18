//! Where time comes from. Code is given a [`Clock`], so that tests can give it another.

use jiff::Timestamp;

/// A source of the present time. It stamps letters and logs; whether something has expired, only a database decides.
#[derive(Debug, Clone, Copy, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// A clock that stands still, for tests.
    Fixed(Timestamp),
}

impl Clock {
    /// The present time in whole microseconds, which is what Postgres keeps: a time reads the same before and after it
    /// was stored.
    pub fn now(self) -> Timestamp {
        let now = match self {
            #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
            Self::System => Timestamp::now(),
            Self::Fixed(time) => time,
        };
        Timestamp::from_microsecond(now.as_microsecond()).expect("a timestamp without its nanoseconds is one")
    }
}
