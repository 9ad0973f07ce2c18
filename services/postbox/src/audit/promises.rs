//! The sixteen promises, in their words.

/// One of the promises, by its number from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Promise(usize);

/// Every promise, from 1 to 16.
const WORDS: [&str; 16] = [
    "one Idempotency-Key, one order",
    "at most one capture per order",
    "a timeout is not a decline",
    "refunds ≤ capture, each once",
    "available + reserved + sold = received; available ≥ 0",
    "each reservation ends once; a release, void or stop that overtakes its opposite blocks it",
    "every order reaches a terminal state",
    "an event exists if and only if its change committed",
    "every committed event is published, in order per order (first occurrence by ce_id)",
    "one effect per event per consumer group",
    "a poison letter neither blocks others nor vanishes",
    "an acknowledged order survives kill -9 of anything",
    "nobody reads or changes another's order",
    "overload sheds, then recovers",
    "SIGTERM loses nothing",
    "the payment ledger sums to zero",
];

impl Promise {
    pub const ONE_KEY: Self = Self(1);
    pub const ONE_CAPTURE: Self = Self(2);
    pub const TIMEOUT: Self = Self(3);
    pub const REFUNDS: Self = Self(4);
    pub const STOCK: Self = Self(5);
    pub const RESERVATIONS: Self = Self(6);
    pub const TERMINAL: Self = Self(7);
    pub const EVENT_AND_CHANGE: Self = Self(8);
    pub const PUBLISHED: Self = Self(9);
    pub const ONE_EFFECT: Self = Self(10);
    pub const POISON: Self = Self(11);
    pub const ACKNOWLEDGED: Self = Self(12);
    pub const OWNERSHIP: Self = Self(13);
    pub const OVERLOAD: Self = Self(14);
    pub const SIGTERM: Self = Self(15);
    pub const LEDGER: Self = Self(16);

    /// All of them, in their order.
    pub fn all() -> impl Iterator<Item = Self> {
        (1..=WORDS.len()).map(Self)
    }

    /// 1 to 16.
    pub const fn number(self) -> usize {
        self.0
    }

    /// What is promised.
    pub const fn words(self) -> &'static str {
        WORDS[self.0 - 1]
    }
}
