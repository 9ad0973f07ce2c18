//! The saga of an order as a table: what each fact means in each state.
//!
//! [`next`] is pure. Everything that happens to an order (an answer on the telephone, a letter, a deadline) is a
//! [`Fact`]; recovery after a crash asks [`State::action`] what is due and hears the same facts again. So a fact may come
//! twice, late, or never, and the search in `tests/saga_search.rs` tries all of it.

use contracts::order::v1::{OrderReason, OrderStatus, PaymentStatus};

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Kept; whether stock is reserved is not known.
    AwaitingStock,
    /// Stock is reserved; whether the charge was captured is not known.
    AwaitingPayment,
    /// Stock reserved, payment captured. Decided.
    Completed,
    /// Given up; the charge, if there was one, is being undone.
    Voiding(Reason),
    /// Nothing is captured and nothing will be; the stock is being given back.
    Releasing(Reason),
    /// Nothing is held, nothing is captured. Decided.
    Rejected(Reason),
}

/// Why an order is not completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Too little stock for a line.
    OutOfStock,
    /// No product has the SKU of a line.
    UnknownSku,
    /// The lines are priced in two currencies.
    MixedCurrencies,
    /// The card was declined.
    PaymentDeclined,
    /// The card network does not know the card.
    UnknownCard,
    /// Not decided in its time.
    Expired,
}

/// What is to be asked of another service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Reserve the stock of all lines.
    Reserve,
    /// Charge the card.
    Charge,
    /// Make sure that nothing is captured, now or later.
    Void,
    /// Make sure that no stock is held, now or later.
    Release,
}

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fact {
    /// Stock is reserved for all lines.
    StockHeld,
    /// Nothing is reserved and never will be: inventory keeps its refusals.
    StockRefused(Refusal),
    /// The payment is captured.
    Captured,
    /// The card was declined: nothing is captured and nothing will be.
    Declined,
    /// The card is unknown: nothing is captured and nothing will be.
    CardUnknown,
    /// Nothing is captured and nothing will be: the charge was voided.
    Voided,
    /// No stock is held and none will be: it was released.
    Released,
    /// `decide_by` has passed, by the database's time.
    DeadlinePassed,
}

/// Why inventory refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Too little stock for a line.
    OutOfStock,
    /// No product has the SKU of a line.
    UnknownSku,
    /// The lines are priced in two currencies.
    MixedCurrencies,
}

/// What a fact does to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// The order goes on.
    Advance(State),
    /// The order knows it already, or has moved past it: nothing changes.
    AlreadyApplied,
    /// Cannot be, as long as every service keeps its word. Nothing changes; somebody must look.
    Contradiction,
}

/// What `fact` means for an order in `state`.
#[expect(clippy::match_same_arms, reason = "every pair is written out: a table that the eye can check")]
pub const fn next(state: State, fact: Fact) -> Step {
    use Fact::{Captured, CardUnknown, DeadlinePassed, Declined, Released, StockHeld, StockRefused, Voided};
    use Reason::{Expired, PaymentDeclined, UnknownCard};
    use State::{AwaitingPayment, AwaitingStock, Completed, Rejected, Releasing, Voiding};
    use Step::{Advance, AlreadyApplied, Contradiction};

    match (state, fact) {
        (AwaitingStock, StockHeld) => Advance(AwaitingPayment),
        // no charge was asked for without a hold, so there is nothing to void
        (AwaitingStock, StockRefused(refusal)) => Advance(Rejected(refusal.reason())),
        // a fact implies its predecessors: a charge is asked for only once stock is held
        (AwaitingStock, Captured) => Advance(Completed),
        (AwaitingStock, Declined) => Advance(Releasing(PaymentDeclined)),
        (AwaitingStock, CardUnknown) => Advance(Releasing(UnknownCard)),
        // somebody else carries the order on and is further than this view of it
        (AwaitingStock, Voided) => AlreadyApplied,
        (AwaitingStock, Released) => AlreadyApplied,
        // a charge may be under way on another process: void before giving up
        (AwaitingStock, DeadlinePassed) => Advance(Voiding(Expired)),

        (AwaitingPayment, StockHeld) => AlreadyApplied,
        (AwaitingPayment, StockRefused(_)) => Contradiction,
        (AwaitingPayment, Captured) => Advance(Completed),
        (AwaitingPayment, Declined) => Advance(Releasing(PaymentDeclined)),
        (AwaitingPayment, CardUnknown) => Advance(Releasing(UnknownCard)),
        (AwaitingPayment, Voided) => AlreadyApplied,
        (AwaitingPayment, Released) => AlreadyApplied,
        (AwaitingPayment, DeadlinePassed) => Advance(Voiding(Expired)),

        (Completed, StockHeld) => AlreadyApplied,
        (Completed, StockRefused(_)) => Contradiction,
        (Completed, Captured) => AlreadyApplied,
        (Completed, Declined) => Contradiction,
        (Completed, CardUnknown) => Contradiction,
        (Completed, Voided) => Contradiction,
        (Completed, Released) => Contradiction,
        (Completed, DeadlinePassed) => AlreadyApplied,

        (Voiding(_), StockHeld) => AlreadyApplied,
        (Voiding(_), StockRefused(_)) => AlreadyApplied,
        // the void that is under way gives it back
        (Voiding(_), Captured) => AlreadyApplied,
        // only the answer to the void says that nothing will be captured later
        (Voiding(_), Declined) => AlreadyApplied,
        (Voiding(_), CardUnknown) => AlreadyApplied,
        (Voiding(reason), Voided) => Advance(Releasing(reason)),
        (Voiding(_), Released) => AlreadyApplied,
        (Voiding(_), DeadlinePassed) => AlreadyApplied,

        (Releasing(_), StockHeld) => AlreadyApplied,
        (Releasing(_), StockRefused(_)) => AlreadyApplied,
        // told late: captured before the void gave it back
        (Releasing(_), Captured) => AlreadyApplied,
        (Releasing(_), Declined) => AlreadyApplied,
        (Releasing(_), CardUnknown) => AlreadyApplied,
        (Releasing(_), Voided) => AlreadyApplied,
        (Releasing(reason), Released) => Advance(Rejected(reason)),
        (Releasing(_), DeadlinePassed) => AlreadyApplied,

        (Rejected(_), StockHeld) => AlreadyApplied,
        (Rejected(_), StockRefused(_)) => AlreadyApplied,
        (Rejected(_), Captured) => AlreadyApplied,
        (Rejected(_), Declined) => AlreadyApplied,
        (Rejected(_), CardUnknown) => AlreadyApplied,
        (Rejected(_), Voided) => AlreadyApplied,
        (Rejected(_), Released) => AlreadyApplied,
        (Rejected(_), DeadlinePassed) => AlreadyApplied,
    }
}

impl Refusal {
    const fn reason(self) -> Reason {
        match self {
            Self::OutOfStock => Reason::OutOfStock,
            Self::UnknownSku => Reason::UnknownSku,
            Self::MixedCurrencies => Reason::MixedCurrencies,
        }
    }
}

impl State {
    /// What is to be asked next; nothing once the order is decided.
    pub const fn action(self) -> Option<Action> {
        match self {
            Self::AwaitingStock => Some(Action::Reserve),
            Self::AwaitingPayment => Some(Action::Charge),
            Self::Voiding(_) => Some(Action::Void),
            Self::Releasing(_) => Some(Action::Release),
            Self::Completed | Self::Rejected(_) => None,
        }
    }

    /// Whether the state must be committed before its action is asked for.
    ///
    /// A compensation is (a crash must not forget it, and nobody may undo an order that another process is completing). A
    /// charge is not: if the process crashes, reserving again finds the same reservation.
    pub const fn is_kept_before_its_action(self) -> bool {
        match self {
            Self::AwaitingPayment => false,
            Self::AwaitingStock | Self::Completed | Self::Voiding(_) | Self::Releasing(_) | Self::Rejected(_) => true,
        }
    }

    /// Whether the customer's answer is fixed.
    pub const fn is_decided(self) -> bool {
        self.action().is_none()
    }

    /// The status as the outside sees it.
    pub const fn status(self) -> OrderStatus {
        match self {
            Self::AwaitingStock | Self::AwaitingPayment | Self::Voiding(_) | Self::Releasing(_) => OrderStatus::Pending,
            Self::Completed => OrderStatus::Completed,
            Self::Rejected(_) => OrderStatus::Rejected,
        }
    }

    /// The payment's status as the outside sees it. What was never captured, or was voided, is NONE.
    pub const fn payment_status(self) -> PaymentStatus {
        match self {
            Self::AwaitingStock => PaymentStatus::None,
            Self::AwaitingPayment => PaymentStatus::Pending,
            Self::Completed => PaymentStatus::Captured,
            Self::Voiding(_) => PaymentStatus::Unknown,
            Self::Releasing(reason) | Self::Rejected(reason) => match reason {
                Reason::PaymentDeclined => PaymentStatus::Declined,
                Reason::OutOfStock
                | Reason::UnknownSku
                | Reason::MixedCurrencies
                | Reason::UnknownCard
                | Reason::Expired => PaymentStatus::None,
            },
        }
    }

    /// Why the order ended or is being unwound.
    pub const fn reason(self) -> Option<Reason> {
        match self {
            Self::AwaitingStock | Self::AwaitingPayment | Self::Completed => None,
            Self::Voiding(reason) | Self::Releasing(reason) | Self::Rejected(reason) => Some(reason),
        }
    }

    /// Every state.
    pub fn all() -> impl Iterator<Item = Self> {
        let with_reason = |make: fn(Reason) -> Self| Reason::ALL.into_iter().map(make);
        [Self::AwaitingStock, Self::AwaitingPayment, Self::Completed]
            .into_iter()
            .chain(with_reason(Self::Voiding))
            .chain(with_reason(Self::Releasing))
            .chain(with_reason(Self::Rejected))
    }

    /// The state's name in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AwaitingStock => "AWAITING_STOCK",
            Self::AwaitingPayment => "AWAITING_PAYMENT",
            Self::Completed => "COMPLETED",
            Self::Voiding(_) => "VOIDING",
            Self::Releasing(_) => "RELEASING",
            Self::Rejected(_) => "REJECTED",
        }
    }

    /// The state with this name and reason; `None` for a pair that no state has.
    pub fn from_name(name: &str, reason: Option<Reason>) -> Option<Self> {
        Self::all().find(|state| state.name() == name && state.reason() == reason)
    }
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 6] = [
        Self::OutOfStock,
        Self::UnknownSku,
        Self::MixedCurrencies,
        Self::PaymentDeclined,
        Self::UnknownCard,
        Self::Expired,
    ];

    /// The reason as others see it.
    pub const fn to_proto(self) -> OrderReason {
        match self {
            Self::OutOfStock => OrderReason::OutOfStock,
            Self::UnknownSku => OrderReason::UnknownSku,
            Self::MixedCurrencies => OrderReason::MixedCurrencies,
            Self::PaymentDeclined => OrderReason::PaymentDeclined,
            Self::UnknownCard => OrderReason::UnknownCard,
            Self::Expired => OrderReason::Expired,
        }
    }

    /// The reason's name in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OutOfStock => "OUT_OF_STOCK",
            Self::UnknownSku => "UNKNOWN_SKU",
            Self::MixedCurrencies => "MIXED_CURRENCIES",
            Self::PaymentDeclined => "PAYMENT_DECLINED",
            Self::UnknownCard => "UNKNOWN_CARD",
            Self::Expired => "EXPIRED",
        }
    }

    /// The reason with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }
}
