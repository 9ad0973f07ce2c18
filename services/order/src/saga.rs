//! The saga of an order as a table: what each fact means in each state.
//!
//! [`next`] is pure. Everything that happens to an order (an answer on the telephone, a letter, a deadline) is a
//! [`Fact`]; recovery after a crash asks [`State::action`] what is due and hears the same facts again. So a fact may come
//! twice, late, or never, and the search in `tests/saga_search/` tries all of it. The picture in `ARCHITECTURE.md` is drawn
//! from this table by `tests/saga_picture.rs`.

mod state;

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
    /// Nothing is held, nothing is captured. Decided: CANCELLED if the customer wanted it so, else REJECTED.
    GivenUp(Reason),
    /// Cancelled after it was completed; whether the parcel could be stopped is not known.
    Stopping,
    /// The parcel is stopped, or can never be sent; the money is being given back.
    Refunding,
    /// The money is back; the stock returns by the letter that says so.
    Refunded,
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
    /// Cancelled, or the customer's account was erased before the parcel had an address.
    CustomerRequest,
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
    /// Make sure that no parcel leaves, now or later; unless it has left.
    Stop,
    /// Give back what was captured.
    Refund,
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
    /// The customer, or an operator for him, cancels.
    CancelAsked,
    /// No parcel left, and none will: it was asked for, or there will never be anywhere to send it.
    Stopped,
    /// The parcel is on its way and cannot be stopped.
    Dispatched,
    /// What was captured was given back.
    MoneyReturned,
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
    use Fact::{
        CancelAsked, Captured, CardUnknown, DeadlinePassed, Declined, Dispatched, MoneyReturned, Released, StockHeld,
        StockRefused, Stopped, Voided,
    };
    use Reason::{CustomerRequest, Expired, PaymentDeclined, UnknownCard};
    use State::{
        AwaitingPayment, AwaitingStock, Completed, GivenUp, Refunded, Refunding, Releasing, Stopping, Voiding,
    };
    use Step::{Advance, AlreadyApplied, Contradiction};

    match (state, fact) {
        (AwaitingStock, StockHeld) => Advance(AwaitingPayment),
        // no charge was asked for without a hold, so there is nothing to void
        (AwaitingStock, StockRefused(refusal)) => Advance(GivenUp(refusal.reason())),
        // a fact implies its predecessors: a charge is asked for only once stock is held
        (AwaitingStock, Captured) => Advance(Completed),
        (AwaitingStock, Declined) => Advance(Releasing(PaymentDeclined)),
        (AwaitingStock, CardUnknown) => Advance(Releasing(UnknownCard)),
        // a charge may be under way on another process: void before giving up
        (AwaitingStock, DeadlinePassed) => Advance(Voiding(Expired)),
        (AwaitingStock, CancelAsked) => Advance(Voiding(CustomerRequest)),
        // somebody else carries the order on and is further than this view of it
        (AwaitingStock, Voided) => AlreadyApplied,
        (AwaitingStock, Released) => AlreadyApplied,
        (AwaitingStock, Stopped) => AlreadyApplied,
        (AwaitingStock, Dispatched) => AlreadyApplied,
        (AwaitingStock, MoneyReturned) => AlreadyApplied,

        (AwaitingPayment, StockHeld) => AlreadyApplied,
        (AwaitingPayment, StockRefused(_)) => Contradiction,
        (AwaitingPayment, Captured) => Advance(Completed),
        (AwaitingPayment, Declined) => Advance(Releasing(PaymentDeclined)),
        (AwaitingPayment, CardUnknown) => Advance(Releasing(UnknownCard)),
        (AwaitingPayment, DeadlinePassed) => Advance(Voiding(Expired)),
        (AwaitingPayment, CancelAsked) => Advance(Voiding(CustomerRequest)),
        (AwaitingPayment, Voided) => AlreadyApplied,
        (AwaitingPayment, Released) => AlreadyApplied,
        (AwaitingPayment, Stopped) => AlreadyApplied,
        (AwaitingPayment, Dispatched) => AlreadyApplied,
        (AwaitingPayment, MoneyReturned) => AlreadyApplied,

        (Completed, StockHeld) => AlreadyApplied,
        (Completed, StockRefused(_)) => Contradiction,
        (Completed, Captured) => AlreadyApplied,
        (Completed, Declined) => Contradiction,
        (Completed, CardUnknown) => Contradiction,
        (Completed, DeadlinePassed) => AlreadyApplied,
        // the parcel first: only what has not left can be taken back
        (Completed, CancelAsked) => Advance(Stopping),
        (Completed, Voided) => Contradiction,
        (Completed, Released) => Contradiction,
        // nobody asked for it: shipping cannot send it anywhere, ever, so the money goes back as if it had been cancelled
        (Completed, Stopped) => Advance(Refunding),
        (Completed, Dispatched) => AlreadyApplied,
        (Completed, MoneyReturned) => AlreadyApplied,

        (Voiding(_), StockHeld) => AlreadyApplied,
        (Voiding(_), StockRefused(_)) => AlreadyApplied,
        // the void that is under way gives it back
        (Voiding(_), Captured) => AlreadyApplied,
        // only the answer to the void says that nothing will be captured later
        (Voiding(_), Declined) => AlreadyApplied,
        (Voiding(_), CardUnknown) => AlreadyApplied,
        (Voiding(_), DeadlinePassed) => AlreadyApplied,
        (Voiding(_), CancelAsked) => AlreadyApplied,
        (Voiding(reason), Voided) => Advance(Releasing(reason)),
        (Voiding(_), Released) => AlreadyApplied,
        // an order that is given up was never completed, so nobody asked shipping, or payment for a refund
        (Voiding(_), Stopped | Dispatched | MoneyReturned) => Contradiction,

        (Releasing(_), StockHeld) => AlreadyApplied,
        (Releasing(_), StockRefused(_)) => AlreadyApplied,
        // told late: captured before the void gave it back; where nothing was to be voided, there is money
        (Releasing(Expired | CustomerRequest), Captured) => AlreadyApplied,
        (Releasing(_), Captured) => Contradiction,
        (Releasing(_), Declined) => AlreadyApplied,
        (Releasing(_), CardUnknown) => AlreadyApplied,
        (Releasing(_), DeadlinePassed) => AlreadyApplied,
        (Releasing(_), CancelAsked) => AlreadyApplied,
        (Releasing(_), Voided) => AlreadyApplied,
        (Releasing(reason), Released) => Advance(GivenUp(reason)),
        (Releasing(_), Stopped | Dispatched | MoneyReturned) => Contradiction,

        (GivenUp(_), StockHeld) => AlreadyApplied,
        (GivenUp(_), StockRefused(_)) => AlreadyApplied,
        (GivenUp(Expired | CustomerRequest), Captured) => AlreadyApplied,
        (GivenUp(_), Captured) => Contradiction,
        (GivenUp(_), Declined) => AlreadyApplied,
        (GivenUp(_), CardUnknown) => AlreadyApplied,
        (GivenUp(_), DeadlinePassed) => AlreadyApplied,
        (GivenUp(_), CancelAsked) => AlreadyApplied,
        (GivenUp(_), Voided) => AlreadyApplied,
        (GivenUp(_), Released) => AlreadyApplied,
        (GivenUp(_), Stopped | Dispatched | MoneyReturned) => Contradiction,

        (Stopping, StockHeld | Captured) => AlreadyApplied,
        (Stopping, StockRefused(_) | Declined | CardUnknown | Voided | Released) => Contradiction,
        (Stopping, DeadlinePassed) => AlreadyApplied,
        (Stopping, CancelAsked) => AlreadyApplied,
        (Stopping, Stopped) => Advance(Refunding),
        // too late to cancel
        (Stopping, Dispatched) => Advance(Completed),
        (Stopping, MoneyReturned) => AlreadyApplied,

        (Refunding, StockHeld | Captured) => AlreadyApplied,
        (Refunding, StockRefused(_) | Declined | CardUnknown | Voided | Released) => Contradiction,
        (Refunding, DeadlinePassed) => AlreadyApplied,
        (Refunding, CancelAsked) => AlreadyApplied,
        (Refunding, Stopped) => AlreadyApplied,
        (Refunding, Dispatched) => Contradiction,
        (Refunding, MoneyReturned) => Advance(Refunded),

        (Refunded, StockHeld | Captured) => AlreadyApplied,
        (Refunded, StockRefused(_) | Declined | CardUnknown | Voided | Released) => Contradiction,
        (Refunded, DeadlinePassed) => AlreadyApplied,
        (Refunded, CancelAsked) => AlreadyApplied,
        (Refunded, Stopped) => AlreadyApplied,
        (Refunded, Dispatched) => Contradiction,
        (Refunded, MoneyReturned) => AlreadyApplied,
    }
}

impl Fact {
    /// The fact's name in metrics, in logs and in the picture.
    pub const fn name(self) -> &'static str {
        match self {
            Self::StockHeld => "StockHeld",
            Self::StockRefused(_) => "StockRefused",
            Self::Captured => "Captured",
            Self::Declined => "Declined",
            Self::CardUnknown => "CardUnknown",
            Self::Voided => "Voided",
            Self::Released => "Released",
            Self::DeadlinePassed => "DeadlinePassed",
            Self::CancelAsked => "CancelAsked",
            Self::Stopped => "Stopped",
            Self::Dispatched => "Dispatched",
            Self::MoneyReturned => "MoneyReturned",
        }
    }

    /// Every fact.
    pub fn all() -> impl Iterator<Item = Self> {
        let refusals = [Refusal::OutOfStock, Refusal::UnknownSku, Refusal::MixedCurrencies];
        refusals.map(Self::StockRefused).into_iter().chain([
            Self::StockHeld,
            Self::Captured,
            Self::Declined,
            Self::CardUnknown,
            Self::Voided,
            Self::Released,
            Self::DeadlinePassed,
            Self::CancelAsked,
            Self::Stopped,
            Self::Dispatched,
            Self::MoneyReturned,
        ])
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
